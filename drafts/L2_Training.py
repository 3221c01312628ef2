# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 2 · Training
#
# Lab 1 loaded a network that could already tell noise from sprite. In this lab you train one yourself, from random weights to first sprites in about two minutes. Then you measure a run of full length, and see what single mistakes cost.
#
# **After this lab you can**
#
# - build the data pipeline, and say why it keeps the whole set in memory;
# - derive the loss, and say what the best possible network answers;
# - write a complete training loop: learning rate, moving average, checkpoints, a live loss curve;
# - read the loss level by level, and not be misled by its mean;
# - score samples, and test whether a network copies its training set;
# - recognise five classic mistakes.
#
# **Time:** about 60 minutes of reading. Running every cell takes about ⟨NUM minutes⟩ on two CPU cores, two of them in one cell that trains; no GPU and no network are needed.
#
# **Before you start:** Lab 1 with its equations (2), (3) and (5). From PyTorch: what an optimiser and a gradient are. From probability: conditional expectation, Bayes' rule. New words are in the [glossary](../docs/GLOSSARY.md).

# %% [markdown]
# ## 1 · Set up
#
# As in Lab 1: find the course's folder, import the module, set the constants.

# %%
import copy
import inspect
import json
import math
import sys
import time
from pathlib import Path

folders = [Path.cwd(), *Path.cwd().parents]
ROOT = next((folder for folder in folders if (folder / "diffusion_utilities.py").exists()), None)
if ROOT is None:
    raise FileNotFoundError("Open this notebook inside a copy of the course (in Colab: clone it, %cd into it).")
sys.path.insert(0, str(ROOT))

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Code, Markdown, display
from torch.utils.data import DataLoader
from tqdm import tqdm

from diffusion_utilities import *

# %%
timesteps = 500  # T, the number of noise levels
beta1, beta2 = 1e-4, 0.02  # how much noise the first and the last step add
n_feat, n_cfeat, height = 64, 5, 16  # width of the network, length of a context vector, size of a sprite
save_dir = ROOT / "weights"
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
schedule = linear_schedule(timesteps, beta1, beta2)
b_t, a_t, ab_t = schedule.b_t, schedule.a_t, schedule.ab_t  # β, α and ᾱ, each of shape (T+1,), indexed by t

# %% [markdown]
# Some figures of this lab come from runs that are too long for a notebook. The course stores them. `python weights/make_weights.py` makes them again.

# %%
metrics = json.loads((save_dir / "metrics.json").read_text())
stored = metrics["evaluation"]

# %% [markdown]
# ## 2 · The data pipeline
#
# **How do sprites get from a file to the network?** The textbook way is a `Dataset`, an object that knows its length and hands out one item at a time. `CustomDataset` is one. It reads two files: the sprites as whole numbers from 0 to 255, and their labels. `transform` turns one sprite into a tensor with values from -1 to 1.
#
# *Why -1 to 1?* The noise has mean 0 and variance 1. A picture with mean near 0 and values of a similar size mixes with it as equation (2) assumes.

# %%
SPRITES, LABELS = ROOT / "data/sprites_1788_16x16.npy", ROOT / "data/sprite_labels_nc_1788_16x16.npy"
dataset = CustomDataset(SPRITES, LABELS, transform)

# %% tags=["nbval-check-output"]
image, label = dataset[0]
print(f"{len(dataset)} items; stored as {dataset.getshapes()[0]}, type {dataset.sprites.dtype}")
print(f"item 0: picture {tuple(image.shape)} from {image.min():.0f} to {image.max():.0f}, label {label.tolist()}")

# %% [markdown]
# A `DataLoader` draws items in random order and stacks them into batches. That is right for pictures on a disk that do not fit into memory. Ours do: as 32-bit numbers, all 1,788 take 5 MB. So the module has a second way: `sprite_tensors` turns the whole set into one tensor, on the device where the network is.

# %%
sprites, labels = load_sprites(SPRITES, LABELS)
images, labels = sprite_tensors(sprites, labels, device)

# %% tags=["nbval-check-output"]
one_by_one = torch.stack([dataset[i][0] for i in range(len(dataset))])
print("same pictures both ways:", torch.allclose(one_by_one, images.cpu(), atol=1e-6))

# %% [markdown]
# How long does one pass over the data take, loader against tensors? Here without any training:

# %%
loader = DataLoader(dataset, batch_size=64, shuffle=True, drop_last=True)
began = time.perf_counter()
for _ in loader:
    pass
middle = time.perf_counter()
for chosen in torch.randperm(len(images)).split(64)[:-1]:
    x = images[chosen.to(device)]
end = time.perf_counter()
print(f"DataLoader {1000 * (middle - began):.0f} ms, tensor {1000 * (end - middle):.0f} ms a pass")

# %% [markdown]
# The tensor is many times faster. On a CPU this hardly matters, because training on one pass takes about seven seconds. On a GPU it takes a fraction of a second, and the loader would be a good part of it.
#
# **Augmentation.** 1,788 sprites are few. `augment` makes more of them: it mirrors a sprite with probability 1/2 and turns its hues by a small random angle. A change is allowed if its result could have been in the data. Below, the first row shows eight versions of four sprites as training gets them (`hue=0.05`, in radians). The second row turns the hues 20 times as far. **Predict first:** which sprites stay believable in the second row?

# %%
four = images[[2, 6, 11, 13]].repeat_interleave(4, dim=0)
usual = augment(four, generator=torch.Generator().manual_seed(0))
too_much = augment(four, hue=1.0, generator=torch.Generator().manual_seed(0))
show_images(torch.cat([usual, too_much]), nrow=2)

# %% [markdown]
# In the first row the hues change so little that one has to look twice. In the second, a bat of another colour or a green gem may pass, but the apple has turned purple and blue. (Grey, white and black stay, because they have no hue.) Blue apples do not exist in the data, and a network trained on them would draw them. Nor are sprites turned upside down: no hero stands on the head.
#
# One side effect you have met in Lab 1: the light in the data comes from the upper left. Mirrored, it comes from the upper right. The network learns both.
#
# `sprite_batches` puts it together: it shuffles, cuts, augments, and begins again, without end.

# %%
Code(inspect.getsource(sprite_batches), language="python")

# %% [markdown]
# *How do I use my own sprites?* Bring them into two files like these, and change the two paths. The [README](../README.md#use-your-own-sprites) shows how.

# %% [markdown]
# ## 3 · Noise of the right strength
#
# **What does the network see in training?** A sprite, noised to a random level by equation (2) of Lab 1:
#
# $$x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1-\bar\alpha_t}\; \varepsilon .$$
#
# In training, every sprite of a batch gets a level of its own. So `t` is now a tensor of $n$ numbers, and $\bar\alpha_t$ must be shaped to multiply pictures of shape (n, 3, 16, 16). The same formula, written for this lab, and compared with the module's `perturb_input`:
# <!-- exercise: write my_perturb_input; check: variance of x_t over many noises against 1-ᾱ; diagnose 1-ᾱ in place of its root -->


# %%
def my_perturb_input(x, t, noise):
    """Clean pictures x (n, 3, h, w), levels t (n,), noise like x → noisy pictures."""
    ab = ab_t.to(x.device)[t][:, None, None, None]  # (n,) → (n, 1, 1, 1)
    return ab.sqrt() * x + (1 - ab).sqrt() * noise


# %% tags=["nbval-check-output"]
t = torch.tensor([1, 100, 250, 500])
noise = torch.randn(4, 3, height, height, generator=torch.Generator().manual_seed(0))
mine, module = my_perturb_input(images[:4].cpu(), t, noise), perturb_input(images[:4].cpu(), t, noise)
print(f"largest difference from the module's: {(mine - module).abs().max():.6f}")

# %% [markdown]
# **What does one missing square root do?** The commonest mistake in diffusion code is to multiply the noise by $1-\bar\alpha_t$ in place of $\sqrt{1-\bar\alpha_t}$. The code runs, the loss falls, and nothing complains.


# %%
def perturb_without_root(x, t, noise):
    """A mistake, made on purpose: the noise is too weak. For one level t."""
    return ab_t[t].sqrt() * x + (1 - ab_t[t]) * noise


# %% [markdown]
# A mistake of this kind is found by measuring. Take one sprite, noise it 1,000 times, and compute the variance of each pixel over the 1,000. Equation (2) says that it is $1-\bar\alpha_t$. **Predict first:** what will it be without the root?

# %%
many = images[:1].cpu().expand(1000, -1, -1, -1)
noise = torch.randn(many.shape, generator=torch.Generator().manual_seed(1))
levels = [1, 25, 50, 100, 150, 200, 250, 300, 400, 500]
variance = {
    "right": [perturb_input(many, t, noise).var(dim=0).mean() for t in levels],
    "without the root": [perturb_without_root(many, t, noise).var(dim=0).mean() for t in levels],
}

# %%
fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
ax.plot(1 - ab_t, color="black", label=r"$1-\bar\alpha_t$")
ax.plot((1 - ab_t) ** 2, color="black", linestyle=":", label=r"$(1-\bar\alpha_t)^2$")
ax.plot(levels, variance["right"], "o", color="#0072B2", label="measured, right")
ax.plot(levels, variance["without the root"], "s", color="#D55E00", label="measured, without the root")
ax.set(xlabel="t", ylabel="variance of a pixel")
ax.legend()
plt.show()

# %% [markdown]
# *Variance of the pixels of $x_t$ over 1,000 noises, at ten levels, with the two formulas as lines.* A number times noise has that number squared as its variance. Without the root this is $(1-\bar\alpha_t)^2$. As standard deviations, which is what one sees:

# %% tags=["nbval-check-output"]
print("t     right  without the root")
for t in (1, 100, 250, 500):
    print(f"{t:3} {(1 - ab_t[t]).sqrt():8.4f} {1 - ab_t[t]:8.4f}")

# %% [markdown]
# And as pictures. Upper row right, lower row without the root, with the same noise, at $t$ = 25, 50, 100, 150, 200, 250, 300, 400 and 500:

# %%
sprite, noise = images[1:2].cpu(), noise[:1]
right = [perturb_input(sprite, t, noise) for t in levels[1:]]
wrong = [perturb_without_root(sprite, t, noise) for t in levels[1:]]
show_images(torch.cat(right + wrong), nrow=2)

# %% [markdown]
# At $t = 100$ the noise is 0.19 strong in place of 0.43; at $t = 500$ there is no difference. A network can be trained with either row. But the sampler of Lab 1 walks along the upper one. At $t = 100$ it hands over a picture with more than twice the noise that such a network has ever seen at this level. Section 10 shows what comes out.

# %% [markdown]
# ## 4 · The loss
#
# Training repeats four things. Draw a sprite $x_0$, a level $t$ (all equally likely) and noise $\varepsilon$. Make $x_t$. Let the network predict the noise. Change its weights a little so that the squared error falls:
#
# $$L(\theta) = \mathrm E_{x_0,\,t,\,\varepsilon}\;\big\|\varepsilon - \varepsilon_\theta(x_t, t)\big\|^2. \tag{6}$$
#
# **Why the mean square, and not the mean absolute error, say?** Because of *what* the best network then answers. Fix $t$, and let $f$ be any function of $x_t$. Write $\varepsilon^* = \mathrm E[\varepsilon \mid x_t]$ for the average of the noises that fit $x_t$. Then
#
# $$\mathrm E\|\varepsilon - f\|^2 = \mathrm E\|\varepsilon - \varepsilon^*\|^2 + 2\,\mathrm E\big[(\varepsilon - \varepsilon^*)\cdot(\varepsilon^* - f)\big] + \mathrm E\|\varepsilon^* - f\|^2 .$$
#
# In the middle term, $\varepsilon^* - f$ is fixed once $x_t$ is, and the average of $\varepsilon - \varepsilon^*$ over all that fits $x_t$ is zero. So the middle term is zero. The first term does not depend on $f$. The last is smallest, zero, for
#
# $$\boxed{\;f(x_t) = \mathrm E[\varepsilon \mid x_t]\;} \tag{7}$$
#
# This is why the network's guesses in Lab 1 were averages, and it is what the sampler needs: section 6 of Lab 1 put the *mean* of $x_0$ into a formula that is linear in $x_0$. With the absolute error, the best answer would be the median, and that step would be wrong.
#
# The first term, $\mathrm E\|\varepsilon - \varepsilon^*\|^2$, is what no network can remove. A loss does not go to zero, and two losses can be compared only on the same data at the same levels.
#
# ### Noise, picture, score: one answer with three names
#
# *Why predict the noise and not the picture?* Take the average of equation (2) over all that fits $x_t$. On the left, $x_t$ is its own average:
#
# $$x_t = \sqrt{\bar\alpha_t}\;\mathrm E[x_0\mid x_t] + \sqrt{1-\bar\alpha_t}\;\mathrm E[\varepsilon\mid x_t]. \tag{8}$$
#
# So the best noise gives the best picture, $\hat x_0 = \mathrm E[x_0 \mid x_t]$, by equation (3), and the other way round. A perfect network may answer either. An imperfect one errs, and the two errors differ by a factor that depends on $t$ (section 7). That is what the choice decides: which levels count how much.
#
# The third name. Let $p(x_t)$ be the density of noisy sprites at level $t$: an average, over the sprites, of bells $q(x_t \mid x_0)$ around $\sqrt{\bar\alpha_t}\,x_0$ with variance $1-\bar\alpha_t$. The gradient of its logarithm is called the *score*. It points to where noisy sprites are denser. Since $\nabla q = q\,\nabla\log q$,
#
# $$\nabla \log p(x_t) = \frac{\int p(x_0)\, q(x_t\mid x_0)\,\nabla\log q(x_t\mid x_0)\,dx_0}{p(x_t)} = \mathrm E\big[\nabla\log q(x_t\mid x_0)\,\big|\,x_t\big],$$
#
# because $p(x_0)\,q(x_t\mid x_0)/p(x_t)$ is the probability of $x_0$ given $x_t$. For the bell, $\nabla\log q = -(x_t - \sqrt{\bar\alpha_t}\,x_0)/(1-\bar\alpha_t) = -\varepsilon/\sqrt{1-\bar\alpha_t}$. Hence
#
# $$\boxed{\;\mathrm E[\varepsilon\mid x_t] = -\sqrt{1-\bar\alpha_t}\;\nabla\log p(x_t)\;} \tag{9}$$
#
# The predicted noise points *away* from the sprites, and subtracting it goes uphill in $\log p$. Papers that speak of score matching train the same network. Section 5 checks equation (9) by number.
#
# ### Where the loss comes from
#
# Equation (6) looks invented. It follows, up to a weight for each level, from maximum likelihood. A sampler that starts from noise $p(x_T)$ and takes random steps $p_\theta(x_{t-1}\mid x_t)$ gives every picture $x_0$ a density $p_\theta(x_0)$, and that of the data should be high. It is an integral over all paths. A logarithm of a mean is at least the mean of the logarithms (Jensen), so with paths drawn by noising,
#
# $$-\log p_\theta(x_0) \;\le\; \mathrm E_q\bigg[\log\frac{q(x_1,\dots,x_T\mid x_0)}{p_\theta(x_0,\dots,x_T)}\bigg] = \mathrm E_q\bigg[-\log p(x_T) + \sum_{t=1}^{T}\log\frac{q(x_t\mid x_{t-1})}{p_\theta(x_{t-1}\mid x_t)}\bigg].$$
#
# For $t \ge 2$ turn the forward step around with Bayes' rule, $q(x_t\mid x_{t-1}) = q(x_{t-1}\mid x_t,x_0)\;q(x_t\mid x_0)\,/\,q(x_{t-1}\mid x_0)$. The last two factors cancel from term to term. What is left is, with KL for the mean of a log-ratio,
#
# $$\underbrace{\mathrm{KL}\big(q(x_T\mid x_0)\,\|\,p(x_T)\big)}_{\text{no }\theta\text{ in it}} + \sum_{t=2}^{T}\mathrm E\;\mathrm{KL}\big(q(x_{t-1}\mid x_t,x_0)\,\|\,p_\theta(x_{t-1}\mid x_t)\big) - \mathrm E\log p_\theta(x_0\mid x_1).$$
#
# Each term of the sum compares two Gaussians: the posterior with mean $\tilde\mu_t$ from Lab 1, and our step with mean $\mu_\theta$ and variance $\sigma_t^2$. Give both the same variance. Then the normalisations cancel in the log-ratio, and
#
# $$\mathrm{KL} = \mathrm E_{x\sim q}\,\frac{\|x-\mu_\theta\|^2 - \|x-\tilde\mu_t\|^2}{2\sigma_t^2} = \frac{\|\tilde\mu_t-\mu_\theta\|^2}{2\sigma_t^2},$$
#
# because $\mathrm E\|x-\mu_\theta\|^2 = \mathrm E\|x-\tilde\mu_t\|^2 + \|\tilde\mu_t-\mu_\theta\|^2$. (If the variances differ, a constant without $\theta$ is added.) Both means have the form of equation (5), one with the true noise and one with the predicted. They differ by $\beta_t/(\sqrt{\alpha_t}\sqrt{1-\bar\alpha_t})$ times $\varepsilon - \varepsilon_\theta$, so
#
# $$\mathrm{KL} = \underbrace{\frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1-\bar\alpha_t)}}_{w_t}\;\big\|\varepsilon-\varepsilon_\theta(x_t,t)\big\|^2. \tag{10}$$
#
# The term for $t = 1$ has the same form. So maximum likelihood asks for the squared error of the noise, with the weight $w_t$. Equation (6) puts 1 in its place. How far is this from $w_t$? Here it is for $\sigma_t^2=\beta_t$:

# %% tags=["nbval-check-output"]
w = b_t[1:] / (2 * a_t[1:] * (1 - ab_t[1:]))  # w_t for t = 1 … T
for t in (1, 2, 10, 100, 250, 500):
    print(f"t = {t:3}   w_t = {w[t - 1]:.4f}   of the sum of all weights: {w[t - 1] / w.sum():.2%}")
print(f"the ten lowest levels together: {w[:10].sum() / w.sum():.0%}")

# %% [markdown]
# The likelihood puts much weight on the lowest levels, where the noise is too faint to see: to give exact pictures a high density, every shade must be right. Weight 1 leaves this out. It thereby leaves the likelihood, but not the goal: at every level the best answer is still equation (7), whatever the weight. The weights decide where a network *that cannot be perfect everywhere* does its best. With weight 1 it works on what can be seen. The DDPM paper compared both and got the better pictures with weight 1.

# %% [markdown]
# ## 5 · How can random noise be predicted at all?
#
# Noise is random, so no one can predict it. But the question is not asked before the dice fall. $x_t$ *contains* the noise, and whoever knows which sprites there are can tell the two apart. Let us do it exactly, without a network.
#
# Suppose that there are only the 1,788 sprites $s_1,\dots,s_N$, all equally likely. By Bayes' rule, the probability that $x_t$ was made from sprite $i$ is proportional to the density of the bell around $\sqrt{\bar\alpha_t}\,s_i$:
#
# $$P(s_i\mid x_t) = \frac{\exp\!\big(-\|x_t-\sqrt{\bar\alpha_t}\,s_i\|^2/2(1-\bar\alpha_t)\big)}{\sum_j\exp\!\big(-\|x_t-\sqrt{\bar\alpha_t}\,s_j\|^2/2(1-\bar\alpha_t)\big)}, \qquad \mathrm E[x_0\mid x_t] = \sum_i P(s_i\mid x_t)\,s_i. \tag{11}$$
#
# The first is a softmax over squared distances. The second is the best possible $\hat x_0$ for these data. No training is involved:
# <!-- exercise: write exact_x0 -->


# %%
def exact_x0(x_t, t):
    """E[x_0 | x_t] (n, 3, h, w), and the probability of each sprite (n, 1788), for x_t at one level t ≥ 1."""
    sprites_flat = images.flatten(1).to(x_t.device)  # (1788, 768)
    distance = torch.cdist(x_t.flatten(1), ab_t[t].sqrt() * sprites_flat)  # (n, 1788)
    probability = (-(distance**2) / (2 * (1 - ab_t[t]))).softmax(dim=1)
    return (probability @ sprites_flat).view_as(x_t), probability


# %% [markdown]
# Noise every ninth sprite, 199 in all, to a few levels, and ask. The first number: how probable the right sprite is, on average. The second: how often it is the most probable of the 1,788. **Predict first:** at which level does the perfect denoiser no longer know the sprite? At $t = 250$ the noise is 1.6 times as strong as the picture.

# %% tags=["nbval-check-output"]
every_ninth = torch.arange(0, len(images), 9)
x = images.cpu()[every_ninth]
noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
for t in (50, 150, 250, 300, 350, 400, 450, 500):
    _, p = exact_x0(perturb_input(x, t, noise), t)
    own = p[torch.arange(len(x)), every_ninth]
    first = (p.argmax(dim=1) == every_ninth).float().mean()
    print(f"t = {t}: probability of the right sprite {own.mean():.2f}, named first {first:.0%}")

# %% [markdown]
# Up to $t = 250$ it names the right sprite nearly always, out of 1,788, in noise in which we can see hardly anything. From 350 on it becomes unsure, and at 500 it knows next to nothing. What its $\hat x_0$ looks like: each row is one sprite, clean, then for $t$ = 50, 250, 400 and 500 the noisy picture and the guess.

# %%
five = []
for t in (50, 250, 400, 500):
    x_t = perturb_input(x, t, noise)
    five += [x_t[:5], exact_x0(x_t, t)[0][:5]]
show_images(torch.stack([x[:5], *five], dim=1).flatten(0, 1), nrow=5)

# %% [markdown]
# At $t = 250$ the guess is still exact. At 400 it depends: the green staff is named, the wizard has become another person, and three are mixtures of several sprites. At 500 the guess is close to the mean of all sprites, a soft round blob; only the slanted staff has left a trace. This is equation (7) at work: where several sprites fit, the best answer is their average.
#
# So random noise can be predicted because the 768 numbers of a picture are very many clues, and sprites are very few of all possible pictures. Equation (9) can now be checked as well: $\log p(x_t)$ is, up to a constant, the logarithm of the sum in (11), and PyTorch differentiates it.

# %% tags=["nbval-check-output"]
t = 400
x_t = perturb_input(x[:1], t, noise[:1]).requires_grad_()
distance2 = (x_t - ab_t[t].sqrt() * images.cpu()).square().flatten(1).sum(dim=1)  # (1788,)
log_p = torch.logsumexp(-distance2 / (2 * (1 - ab_t[t])), dim=0)
(score,) = torch.autograd.grad(log_p, x_t)
exact_noise = (x_t - ab_t[t].sqrt() * exact_x0(x_t, t)[0]) / (1 - ab_t[t]).sqrt()
difference = (exact_noise + (1 - ab_t[t]).sqrt() * score).abs().max()
print(f"size of the noise {exact_noise.std():.2f}, largest difference from -√(1-ᾱ) · score: {difference:.4f}")


# %% [markdown]
# **Then why train a network, if the perfect denoiser is three lines long?** Hand it to a sampler, and look at how far its samples are from the nearest training sprite. (`sample_ddim` is the subject of Lab 4. It draws like `sample_ddpm`, in 25 steps in place of 500. Here it is a quick way of looking.)


# %%
def exact_model(x, t, c=None):
    """The perfect denoiser of the 1,788 sprites, called like the network: t is the level divided by T."""
    t = round(float(t) * timesteps)
    x0_pred, _ = exact_x0(x, t)
    return (x - ab_t[t].sqrt() * x0_pred) / (1 - ab_t[t]).sqrt()


# %% tags=["nbval-check-output"]
copies, _ = sample_ddim(16, n=25, model=exact_model, seed=0, progress=False)
distance, _ = nearest_sprite(copies, images.cpu())
print(f"distance to the nearest training sprite: {distance.mean():.4f} on average, {distance.max():.4f} at most")

# %%
show_images(copies, nrow=1)

# %% [markdown]
# Every sample is a training sprite, to the last pixel. A denoiser that is perfect *for the training set* can draw nothing but the training set. A network is useful because it is not perfect: it cannot store the 1,788 sprites exactly, so it must learn what sprites are like, and what it learns fits sprites that were never drawn. Whether ours does this, or copies, is measured in section 9.

# %% [markdown]
# ## 6 · Train
#
# One constant decides how long. On a CPU, the short run takes about two minutes. The full run is the course's 32 epochs; an *epoch* here shows each sprite twenty times, each time augmented anew.

# %%
FULL_RUN = device.type == "cuda"  # on a CPU, write True for all 32 epochs (more than an hour)
batch_size = 64
epoch_steps = 20 * len(images) // batch_size
n_steps = 32 * epoch_steps if FULL_RUN else 432
checkpoint = ROOT / "build/my_model.pth"  # yours; the shipped weights are in another folder and stay as they are

# %% [markdown]
# A network with random weights, and a copy of it for the moving average (see below). `channels_last` is only another order of the numbers in memory, in which convolutions are faster.

# %%
torch.manual_seed(0)
nn_model = ContextUnet(in_channels=3, n_feat=n_feat, n_cfeat=n_cfeat, height=height)
nn_model = nn_model.to(device, memory_format=torch.channels_last)
ema_model = copy.deepcopy(nn_model).requires_grad_(False)
generator = torch.Generator().manual_seed(0)  # of batches, levels and noise

# %% [markdown]
# **The optimiser** is one line.

# %%
optimizer = torch.optim.AdamW(nn_model.parameters(), lr=2e-3)

# %% [markdown]
# The shipped weights were trained with Muon for the convolutions, and with AdamW for the rest; [make_weights.py](../weights/make_weights.py) has it. Muon changes each step of a weight matrix so that all its singular values become about equal. The matrix then learns in all its directions at once, and not mainly in the few where the gradient is large. ⟨CHECK: At the same number of steps, the loss ended lower.⟩ AdamW alone is one line, and does for two minutes.
#
# **The learning rate** rises for a few steps and then falls along half a cosine. *Why rise?* AdamW divides by the usual size of the gradient, and in the first steps it does not know that size yet. *Why fall?* Each batch is a random sample, so each step is partly noise. Small steps at the end average it out.


# %%
def learning_rate(step, n_steps, warm_up=50):
    """A factor for the learning rate: a straight rise to 1, then half a cosine down to 0."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1, (step - warm_up) / (n_steps - warm_up))))


scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, n_steps))

# %%
fig, ax = plt.subplots(figsize=(5, 2), layout="constrained")
ax.plot([2e-3 * learning_rate(step, n_steps) for step in range(n_steps)], color="#0072B2")
ax.set(xlabel="step", ylabel="learning rate")
plt.show()

# %% [markdown]
# *The learning rate, step by step.*
#
# **The loss** is equation (6) in five lines. Each line is one that you have seen.
# <!-- exercise: write noise_loss; checks: the loss of a model that answers 0 is about 1; t reaches T; t/T is handed over -->


# %%
def noise_loss(model, x):
    """The mean squared error of the predicted noise, for clean sprites x (n, 3, 16, 16), each at a random level."""
    t = torch.randint(1, timesteps + 1, (len(x),), generator=generator).to(x.device)  # 1 … T, both included
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    x_t = perturb_input(x, t, noise, schedule).contiguous(memory_format=torch.channels_last)
    pred_noise = model(x_t, t / timesteps)
    return (pred_noise - noise).square().mean()


# %% [markdown]
# *Why the mean, where (6) has a sum over pixels?* It is the sum divided by 768. The scale is easier to read: a network that always answers 0 has a loss of 1, the variance of the noise.
#
# A second mark on that scale: what does someone reach who knows nothing of sprites but the mean and the variance $s^2$ of each pixel? The best answer is then the one of Lab 1, section 9, and what is left of the noise's variance is $\bar\alpha_t s^2/(\bar\alpha_t s^2 + 1-\bar\alpha_t)$. Its mean over pixels and levels:

# %% tags=["nbval-check-output"]
share, pixel_variance = ab_t[1:, None, None, None], images.cpu().var(dim=0)
linear_loss = (share * pixel_variance / (share * pixel_variance + 1 - share)).mean().item()
print(f"loss of the best answer that knows only each pixel's mean and variance: {linear_loss:.2f}")

# %% [markdown]
# **The moving average.** The weights of a single step carry the noise of the last few batches. An exponential moving average of the weights (EMA) carries much less, and draws better sprites. Training itself does not use it. `ema_update` moves the average a little towards the current weights:

# %%
Code(inspect.getsource(ema_update), language="python")

# %% [markdown]
# With decay $d$ it averages over about the last $1/(1-d)$ steps. The usual 0.999 means 1,000 steps, and in a short run that would still contain the random start. So the decay begins small: at step $i$ it is $(1+i)/(10+i)$ as long as this is below 0.999. Mind the second loop. Batch norm keeps its statistics in *buffers*, which are no parameters. An EMA that forgets them pairs new weights with the statistics of the untrained network.
#
# **One step** puts it together. It also clips the gradient: one batch with an unusually large gradient could otherwise undo many good steps.


# %%
def training_step(x, step):
    """Change the weights once, with the sprites x; move the average along. The loss, not attached to the graph."""
    loss = noise_loss(nn_model, x)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(nn_model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    ema_update(ema_model, nn_model, decay=min(0.999, (1 + step) / (10 + step)))
    return loss.detach()


# %% [markdown]
# **A live loss curve.** Each point is the loss of one batch, with levels and noise drawn at random, so it jumps. The mean over 20 steps shows the trend. The loss stays on the device until it is drawn: asking a GPU for a number in every step would make it wait.


# %%
def draw_loss(ax, losses):
    """Draw the losses so far, a list of tensors, on ax."""
    values = torch.stack(losses).cpu().numpy()
    window = min(20, len(values))
    steps = np.arange(1, len(values) + 1)
    ax.clear()
    ax.plot(steps, values, color="#56B4E9", linewidth=0.7, label="each step")
    ax.plot(steps[window - 1 :], np.convolve(values, np.ones(window) / window, "valid"), color="#D55E00", label="mean")
    ax.axhline(1, color="black", linestyle=":", label="always answering 0")
    ax.axhline(linear_loss, color="#009E73", linestyle="--", label="knowing each pixel's mean and variance")
    ax.set(yscale="log", xlim=(0, n_steps), xlabel="step", ylabel="mean squared error")
    ax.legend(loc="upper right")


# %% [markdown]
# **The loop.** Every now and then it draws the curve and saves the averaged weights. `save_weights` writes to a second file first and then renames it. Renaming happens at once or not at all, so there is never half a checkpoint.
#
# **You may interrupt it at any time** (the ■ button, or Kernel → Interrupt). The loop catches the interruption, saves the weights that it has, and the rest of the notebook runs with them. Run the training cell again, and it goes on where it stopped.


# %%
def train(n_steps):
    """Train up to step n_steps, going on from where ``losses`` ends."""
    fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
    plt.close(fig)  # it is shown by display, and only there
    live, every = display(fig, display_id=True), max(20, n_steps // 40)
    nn_model.train()
    try:
        batches = sprite_batches(images, labels, batch_size, generator)
        for step in tqdm(range(len(losses), n_steps), leave=False):
            losses.append(training_step(next(batches)[0], step))
            if len(losses) % every == 0:
                show_and_save(live, fig, ax)
    except KeyboardInterrupt:
        print(f"Interrupted after {len(losses)} of {n_steps} steps; the weights are saved.")
    show_and_save(live, fig, ax)


# %%
def show_and_save(live, fig, ax):
    """Bring the picture up to date, and the checkpoint."""
    save_weights(ema_model.state_dict(), checkpoint)
    if losses:
        draw_loss(ax, losses)
        live.update(fig)


losses = []

# %% [markdown]
# Before training, draw 12 sprites, for comparison. **Predict first:** what does a network with random weights draw?

# %%
before, _ = sample_ddim(12, n=25, model=nn_model, seed=0, progress=False)
show_images(before, nrow=1)

# %% [markdown]
# Coloured noise, stronger than the noise at the start. The untrained network answers nearly nothing. If it answered exactly 0, every step would multiply the picture by $\sqrt{\bar\alpha_{t_{\text{next}}}/\bar\alpha_t}$, and all 25 together by $1/\sqrt{\bar\alpha_{500}} \approx 12.5$.
#
# Now train.

# %%
began, done = time.perf_counter(), len(losses)
train(n_steps)
seconds, done = time.perf_counter() - began, len(losses) - done

# %% [markdown]
# *The loss of each step and the mean of 20 steps, on a logarithmic axis.* ⟨CHECK: It falls fast for the first 100 steps, from above 1 to about ⟨NUM loss at step 100⟩, then slowly to about ⟨NUM last mean⟩.⟩ The fast part is the easy lesson: most of $x_t$ is noise, so answer a share of $x_t$ that depends on $t$. Knowing the mean and the variance of each pixel is enough for this, down to the dashed line. What is below the line, the network owes to knowing what sprites look like.
#
# *How long will the full run take on my CPU?* As measured just now:

# %%
per_step = seconds / max(1, done)
print(f"{per_step:.2f} s a step, so {32 * epoch_steps:,} steps take {32 * epoch_steps * per_step / 60:.0f} minutes")

# %% [markdown]
# Three times 12 sprites from the same noise: before training, after it, and from the shipped network, which took 17,856 steps. The second row is read back from the checkpoint: it is complete, and any other program of the course can use it.

# %%
my_model = load_pretrained(checkpoint, device)
trained = load_pretrained("model_trained", device)
after, _ = sample_ddim(12, n=25, model=my_model, seed=0, progress=False)
shipped, _ = sample_ddim(12, n=25, model=trained, seed=0, progress=False)
show_images(torch.cat([before, after, shipped]), nrow=3)

# %% [markdown]
# ⟨CHECK: In the second row the backgrounds are white and there is one shape in the middle of each, with dark edges and a few colours. None of them can be named yet. The third row has persons and things.⟩ Where a sprite is, how large, and that it has an outline is learned first. Which pixels make a face takes the rest of the 32 epochs. For more, set `FULL_RUN = True` above, and run the cells from there on.
#
# If you look closely, ⟨CHECK: the second and the third row agree in places: where one is reddish or tall, the other often is⟩. DDIM adds no noise of its own, so the sprite is decided by $x_T$ alone, and two networks trained on the same data answer alike.

# %% [markdown]
# ## 7 · Which levels are hard?
#
# The loss is a mean over all 500 levels. **Is it the same at each of them? Predict first:** is it harder to predict the noise at $t = 5$ or at $t = 500$?
#
# Measure it level by level, for the shipped network and for the perfect denoiser of the training set from section 5. Do so on 199 training sprites, and on 199 *fresh* sprites: the [program](../data/make_sprites.py) that drew the data draws them with another seed, and none of them is in the training set.

# %%
sys.path.insert(0, str(ROOT / "data"))
from make_sprites import fresh_sprites, to_arrays

fresh, _ = sprite_tensors(*to_arrays(fresh_sprites(256, seed=2)), device)


# %%
@torch.no_grad()
def loss_at(model, x, t):
    """The mean squared error of the predicted noise with all of x at level t; the same noise for every model."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(t)).to(x)
    return (model(perturb_input(x, t, noise), t / timesteps) - noise).square().mean().item()


levels = [1, 5, 10, 20, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500]
data = {"training": images[every_ninth.to(device)], "fresh": fresh[: len(every_ninth)]}
models = {"network": trained, "perfect for training": exact_model}
by_level = {(m, d): [loss_at(models[m], data[d], t) for t in levels] for m in models for d in data}

# %% [markdown]
# On the left, the loss. On the right, the same errors as errors of the *picture*. Equation (3) gives $\hat x_0$ from the predicted noise, so
#
# $$\hat x_0 - x_0 = -\frac{\sqrt{1-\bar\alpha_t}}{\sqrt{\bar\alpha_t}}\,(\varepsilon_\theta - \varepsilon), \qquad\text{and}\quad \|\hat x_0 - x_0\|^2 = \frac{1-\bar\alpha_t}{\bar\alpha_t}\,\|\varepsilon_\theta-\varepsilon\|^2 . \tag{12}$$
#
# The factor is 0.0001 at $t = 1$ and 155 at $t = 500$. The dotted line on the right is the error of always answering the mean sprite.

# %%
styles = {
    ("network", "training"): ("#0072B2", "o-"), ("network", "fresh"): ("#D55E00", "s--"),
    ("perfect for training", "training"): ("#009E73", "^:"), ("perfect for training", "fresh"): ("#CC79A7", "v-."),
}  # fmt: skip
factor = (1 - ab_t[levels]) / ab_t[levels]
fig, axs = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for (m, d), (colour, style) in styles.items():
    loss = torch.tensor(by_level[m, d])
    axs[0].plot(levels, loss, style, color=colour, label=f"{m}, {d} sprites")
    axs[1].plot(levels, factor * loss, style, color=colour)
axs[1].axhline(images.var(dim=0).mean().item(), color="black", linestyle=":", label="mean sprite")
for ax, ylabel in zip(axs, ("error of the noise (the loss)", "error of the picture")):
    ax.set(yscale="log", ylim=(5e-4, 2), xlabel="t", ylabel=f"{ylabel}, mean square")
    ax.legend(loc="upper right", fontsize=8)
plt.show()

# %% [markdown]
# *Mean squared error by noise level, on logarithmic axes: of the noise on the left, of the picture on the right. Lines that leave the frame are below 0.0005 or above 2.*

# %% tags=["nbval-check-output"]
for d in data:
    losses_shown = (f"t = {t}: {by_level['network', d][levels.index(t)]:.3f}" for t in (1, 50, 250, 500))
    print(f"network, {d:8}  ", *losses_shown, sep="   ")

# %% [markdown]
# What to see:
#
# - **Low levels are hard for the noise, and harmless.** At $t = 1$ the noise is 0.01 strong, about one of the 255 steps of colour (0.008), so it is hard to tell from the sprite: ⟨CHECK: the loss is near ⟨NUM loss at 1⟩⟩. In the picture this is nothing.
# - **High levels are easy for the noise, and decisive.** At $t = 500$ the loss is only ⟨NUM loss at 500⟩. Nearly all of $x_t$ is noise, so answering $x_t$ is nearly right. But times 155 it is a picture error of ⟨NUM⟩, ⟨CHECK: about as bad as always answering the mean sprite⟩. What is decided at these levels is *which* sprite appears. A small loss at high $t$ is no small matter.
# - **Fresh sprites are a little harder for the network than training sprites.** ⟨CHECK: Up to $t = 100$ and from 350 on, the two curves lie close together. In between, the error on fresh sprites is up to ⟨NUM⟩ times as large.⟩ It has seen every training sprite about 640 times, and has begun to know them. The perfect denoiser of the training set is the opposite. On training sprites it is unbeatable. On fresh ones it names the wrong sprite with full confidence, so its picture is as wrong at $t = 5$ as at $t = 250$: even with the sprite before its eyes, it answers another. Only where nobody can tell the sprites apart, above $t \approx 350$, is it as good as the network. This is what *overfitting* would look like.
#
# The weight 1 of equation (6) undervalues the high levels, where the loss is small but the picture hangs on it. The shipped networks were therefore trained with the weight $1/\bar\alpha_t$, at most 5: `loss_weight` in [make_weights.py](../weights/make_weights.py). At high noise it is a step towards (12). The limit holds from $t = 282$ on; without it, the levels near 500 would count 155 times and outvote all others.

# %% [markdown]
# ## 8 · Thirty-two epochs
#
# **What does the rest of the training buy?** The course stored one real run after its epochs 0, 4, 8 and 31. Here are 12 sprites of each, from the same noise. Follow one column downwards.

# %%
epochs = (0, 4, 8, 31)
rows = [sample_ddim(12, n=25, model=load_pretrained(f"model_{e}", device), seed=0, progress=False)[0] for e in epochs]
show_images(torch.cat(rows), nrow=len(epochs))

# %% [markdown]
# ⟨CHECK: After epoch 0 there are shapes with outlines on an unclean background. After epoch 4 the backgrounds are white and some kinds can be told. From 8 to 31 the changes are finer: cleaner tones, clearer faces.⟩
#
# **How does one put a number on that?** The loss will not do: it says how well noise is predicted, not how samples look. The course uses the *Fréchet sprite distance* (FSD). A small classifier, trained to name sprites, is shown many samples and as many real sprites. For each picture it computes 128 numbers, its *features*: roughly, which traits it sees. For the set of samples, take the mean of the features and how they vary together. Do the same for the real sprites. FSD says how far apart these are. Zero means that the classifier sees no difference between the two *sets*: not only must single samples look right, they must also be as varied. In formulas, with mean $\mu$ and covariance $\Sigma$ of both sets,
#
# $$\mathrm{FSD} = \|\mu_1-\mu_2\|^2 + \mathrm{Tr}\big(\Sigma_1 + \Sigma_2 - 2(\Sigma_1\Sigma_2)^{1/2}\big).$$
#
# For photographs the same thing with another classifier is known as FID. A single FSD means little, so each one below has an error bar: mean and standard deviation of three runs, each with other start noise and other fresh sprites as reference. And there is a *floor*: fresh sprites against other fresh sprites. No network can be expected to get below it.

# %%
fsd = stored["fsd_by_epoch"]
floor, averaged = (stored["quality"][name]["fsd"] for name in ("fresh sprites", "DDIM, 25 steps"))
points = [fsd[f"model_{e}"] for e in epochs]
fig, axs = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
axs[0].plot(metrics["unconditional"]["loss_per_epoch"], "o-", markersize=3, color="#0072B2")
axs[0].set(xlabel="epoch", ylabel="mean squared error of the noise", yscale="log")
means, errors = ([p[key] for p in points] for key in ("mean", "std"))
axs[1].errorbar(epochs, means, yerr=errors, fmt="o-", capsize=3, color="#0072B2", label="weights after the epoch")
axs[1].errorbar(31, averaged["mean"], averaged["std"], fmt="D", capsize=3, color="#D55E00", label="moving average")
axs[1].axhline(floor["mean"], color="#009E73", linestyle="-.", label="floor: fresh against fresh sprites")
axs[1].set(xlabel="epoch", ylabel="FSD (1,788 samples)", yscale="log")
axs[1].legend()
plt.show()

# %% [markdown]
# *Left: the loss of the stored run, epoch by epoch. Right: FSD of samples drawn in 25 steps, with error bars over three seeds; both on logarithmic axes.* The same numbers:

# %%
lines = ["| network | FSD |", "|:--|--:|"]
rows = {f"after epoch {e}": fsd[f"model_{e}"] for e in epochs} | {"moving average": averaged, "floor": floor}
rows["pure noise, for comparison"] = stored["quality"]["pure noise"]["fsd"]
lines += [f"| {name} | {f['mean']:.1f} ± {f['std']:.1f} |" for name, f in rows.items()]
Markdown("\n".join(lines))

# %% [markdown]
# ⟨CHECK: From epoch 8 to epoch 31 the loss falls by about a third, and FSD by much more. The moving average is better than the last weights alone, or equal within the error bars, because the falling learning rate has done its work already.⟩ And the floor is still some way below. Lab 4 asks how much of that gap is the sampler's fault.

# %% [markdown]
# ## 9 · Does it copy?
#
# Section 5 showed a denoiser that draws only training sprites, all of them perfect. Its FSD would be excellent. **So how do we know that the network does not do the same?** Draw 256 sprites, and find for each the nearest of the 1,788 training sprites; mirrored ones count. `nearest_sprite` gives the distance as a root mean square over pixels whose values go from -1 to 1, so 0 is a copy.
#
# A distance alone says nothing: is 0.4 near or far? A *control* is needed. The 256 fresh sprites of section 7 come from the same program as the data, but are certainly not copied from it.

# %%
drawn, _ = sample_ddim(256, n=25, model=trained, seed=7, progress=False)
drawn = drawn.clamp(-1, 1)  # as it is shown
distance_drawn, nearest = nearest_sprite(drawn, images)
distance_fresh, _ = nearest_sprite(fresh, images)

# %% [markdown]
# The 12 most suspicious samples first: those nearest to a training sprite. Upper row: samples. Lower row: the training sprite nearest to each (it may be the mirrored one that is meant). **Look for** a pair that is equal in every pixel.

# %%
suspicious = distance_drawn.argsort()[:12]
show_images(torch.cat([drawn[suspicious], images[nearest[suspicious]]]), nrow=2)

# %%
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
bins = np.linspace(0, 1, 41)
ax.hist(distance_fresh.cpu(), bins, color="#009E73", alpha=0.5, label="fresh sprites (control)")
ax.hist(distance_drawn.cpu(), bins, histtype="step", linewidth=2, color="#D55E00", label="drawn by the network")
ax.axvline(0, color="black", linestyle="--", label="a copy")
ax.set(xlabel="distance to the nearest training sprite (root mean square)", ylabel="sprites")
ax.legend()
plt.show()

# %% [markdown]
# *Distances of 256 drawn and 256 fresh sprites to the nearest of the 1,788 training sprites.*

# %%
for name, distance in {"drawn": distance_drawn, "fresh": distance_fresh}.items():
    low, middle = distance.quantile(0.01), distance.median()
    print(f"{name}: least {distance.min():.2f}, 1 % are below {low:.2f}, half are below {middle:.2f}")

# %% [markdown]
# ⟨CHECK: No sample is a copy. The drawn sprites are, on the whole, as far from the training set as the fresh ones are, or further, and even the nearest pairs differ in many pixels.⟩ The control is what makes this an answer: a network that copied would lie to the *left* of it, heaped at 0. Being further away than the control is no merit, by the way. Part of it is grain and blur, which are near to nothing.
#
# The same for 1,788 samples of each of three seeds. Columns: the least distance, then what 1 %, 10 % and half of them are below. In *grey*, only the mean of the three colours is compared, so a copy in other hues would be found out as well.

# %%
copying = stored["distance_to_nearest_training_sprite"]
columns = list(copying["fresh sprites"])
lines = ["| 1,788 pictures | " + " | ".join(columns) + " |", "|:--|" + "--:|" * len(columns)]
for name, row in copying.items():
    lines.append(f"| {name} | " + " | ".join(f"{row[c]['mean']:.2f} ± {row[c]['std']:.2f}" for c in columns) + " |")
Markdown("\n".join(lines))

# %% [markdown]
# ⟨CHECK: In every column the network's sprites are at least as far from the training set as fresh ones.⟩

# %% [markdown]
# ## 10 · What single mistakes cost
#
# The public code from which the idea of this lab comes has two mistakes. What does each cost? The course trained the same network on the same data for the same short time, two epochs, with one mistake each. As a yardstick, there is also a network of about the same size from Hugging Face's *diffusers*.
#
# | recipe | what is different |
# |:--|:--|
# | ours | nothing |
# | missing root | noise multiplied by $1-\bar\alpha_t$ in training (section 3) |
# | random shortcut | a layer is made inside `forward` |
# | both | the public recipe |
# | diffusers | another network: `UNet2DModel` |
#
# The second mistake looks like this:
#
# ```python
# def forward(self, x):
#     shortcut = nn.Conv2d(x.shape[1], out_channels, 1)   # a new layer, with new random weights, at every call
#     return shortcut(x) + self.conv2(self.conv1(x))
# ```
#
# Such a layer is not among the model's parameters. It cannot learn, and it is not stored. It is easily found out: put the same picture in twice. The network below has it, and is not trained.

# %%
sys.path.insert(0, str(save_dir))
from peers import random_shortcut_unet

models = {"ours": trained, "random shortcut": random_shortcut_unet().to(device).eval()}

# %% tags=["nbval-check-output"]
x_t = perturb_input(images[:4], 250, torch.ones_like(images[:4]))
for name, model in models.items():
    with torch.no_grad():
        equal = torch.equal(model(x_t, 0.5), model(x_t, 0.5))
    print(f"{name:16} the same answer twice: {equal}")

# %% [markdown]
# Now the samples, 64 of each. **Predict first:** which mistake hurts more, the missing root or the random layer? And are two mistakes worse than one?

# %%
peers = {
    "ours": "ours", "missing_root": "missing root", "random_shortcut": "random shortcut",
    "public_recipe": "both", "diffusers": "diffusers",
}  # fmt: skip
fig, axs = plt.subplots(1, len(peers), figsize=(13, 2.9), layout="constrained")
for ax, (name, title) in zip(axs, peers.items()):
    ax.imshow(plt.imread(ROOT / f"docs/peer_{name}.png"), interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# *64 samples of each recipe after two epochs, DDIM in 25 steps, from the same noise.* And as numbers. The *background error* is the mean distance of the corners from white, in steps of 1/255:

# %%
lines = ["| recipe | parameters | FSD | background error |", "|:--|--:|--:|--:|"]
for name, title in peers.items():
    peer, quality = metrics["peers"][name], metrics["peers"][name]["quality"]
    figures = [f"{quality[key]['mean']:.1f} ± {quality[key]['std']:.1f}" for key in ("fsd", "background_error")]
    lines.append(f"| {title} | {peer['parameters']:,} | {figures[0]} | {figures[1]} |")
Markdown("\n".join(lines))

# %% [markdown]
# ⟨CHECK: The missing root costs most. With it, the sampler meets more noise than the network was trained for, takes part of it for picture, and leaves it in: grain everywhere, no clean background. The random shortcut makes backgrounds and tones unsteady; with both mistakes it is worst. diffusers' network is ⟨NUM better or worse⟩ than ours at this length, and takes ⟨NUM⟩ times as long to train.⟩
#
# Why do these mistakes live so long? Because the loss falls with all of them. Their losses cannot even be compared: without the root, the network solves another task. Only measuring the samples, or a test like the one in section 3, finds them out.
#
# **Three more traps**, each in a few lines.
#
# *Labels as whole numbers.* Lab 3 gives the network a label such as 0.6 food. Some data sets convert labels with `.long()`:

# %% tags=["nbval-check-output"]
label = torch.tensor([1, 0, 0.6, 0, 0])
print("as they are:", label.numpy().round(1), "  with .long():", label.long().numpy())

# %% [markdown]
# 0.6 has become 0. `CustomDataset` keeps labels as they are.
#
# *Training that never draws $t = T$.* `torch.randint` leaves its upper limit out:

# %% tags=["nbval-check-output"]
for high in (timesteps, timesteps + 1):
    t = torch.randint(1, high, (100_000,), generator=torch.Generator().manual_seed(0))
    print(f"randint(1, {high}): levels from {t.min()} to {t.max()}")

# %% [markdown]
# With the upper limit `timesteps`, the network never sees the level at which every sampler starts. With 500 levels it can guess from the level next to it. With ten it could not. Counting from 0 in one place and from 1 in another is the same mistake one level over.
#
# *Evaluation mode forgotten.* In training mode, batch norm uses the statistics of the batch at hand. The prediction for a sprite then depends on its company. Here is the same noisy sprite, alone and together with seven others:

# %% tags=["nbval-check-output"]
x_t = perturb_input(images[:8], 250, torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)).to(device))
for mode in ("eval", "train"):
    model = getattr(copy.deepcopy(trained), mode)()  # model.eval() or model.train(), on a copy
    with torch.no_grad():
        change = (model(x_t, 0.5)[0] - model(x_t[:1], 0.5)[0]).abs().mean()
    print(f"in {mode:5} mode, company changes the prediction by {change:.2f} on average")

# %% [markdown]
# In evaluation mode nothing changes, and this is what sampling needs. The samplers of the course switch to it by themselves and back afterwards. Worse, a forward pass in training mode also *moves* the stored statistics, so even looking at samples would change the network. That is why the cell works on a copy.

# %% [markdown]
# ## Recap
#
# | question | answer | where |
# |:--|:--|:--|
# | How do sprites reach the network? | the whole set as one tensor, mirrored and with slightly turned hues | `sprite_tensors`, `sprite_batches` |
# | How strong is the noise at level $t$? | $\sqrt{1-\bar\alpha_t}$; the root is easily forgotten, and a variance test finds it | `perturb_input` |
# | What does the best network answer? | $\mathrm E[\varepsilon\mid x_t]$, the mean of the noises that fit | equation (7) |
# | Noise, picture or score? | each gives the others | equations (8), (9) |
# | Where does the loss come from? | likelihood, with another weight for each level | equation (10) |
# | How can noise be predicted? | 768 numbers are many clues, and few pictures are sprites | section 5 |
# | What belongs to a training loop? | loss, clipping, learning rate, moving average, checkpoints, a curve | section 6 |
# | Is a small loss good? | only level by level: at high $t$ it is small, and decisive | section 7 |
# | Does it copy? | compare with sprites that cannot be copies | section 9 |
#
# ## Quiz
#
# **1.** Your loss is 1.00 and does not fall. What does the network answer?
# <details><summary>Answer</summary>Nothing, that is 0 everywhere, or something that has nothing to do with the noise and is small. The mean square of the noise is 1.</details>
#
# **2.** A perfect network trained on *one single* sprite: what is its loss at every level?
# <details><summary>Answer</summary>0. With x₀ known, the noise follows from x_t exactly: ε = (x_t - √ᾱ x₀)/√(1-ᾱ). Its sampler draws that sprite and nothing else.</details>
#
# **3.** Someone trains with the mean absolute error in place of the mean square. What is the best answer now, and why does the sampler need the other?
# <details><summary>Answer</summary>For each pixel, the median of the noises that fit. The reverse step takes the mean of x₀ given x_t; mean and median differ wherever the noises that fit are not spread evenly about their mean.</details>
#
# **4.** Network A has a loss of 0.04, network B of 0.05. Does A draw better sprites?
# <details><summary>Answer</summary>Not necessarily. Perhaps A is better at low levels, where errors are invisible, and worse at high ones, where a small loss decides what is drawn. Only with the same data, levels, weights and noise can the losses be compared at all; for the samples, score samples.</details>
#
# **5.** The perfect denoiser of the training set has the smallest possible training loss. Why do we not use it?
# <details><summary>Answer</summary>It draws only training sprites (section 5), and on fresh sprites it is confidently wrong (section 7).</details>
#
# ## Further reading
#
# - Ho, Jain, Abbeel 2020, [Denoising Diffusion Probabilistic Models](https://arxiv.org/abs/2006.11239): algorithm 1 is this lab's training; section 3.4 is the step from (10) to (6).
# - Luo 2022, [Understanding Diffusion Models: A Unified Perspective](https://arxiv.org/abs/2208.11970): the bound, and the three names of the answer.
# - Nichol and Dhariwal 2021, [Improved DDPM](https://arxiv.org/abs/2102.09672): how the loss is spread over the levels, and what other weights do.
# - Salimans and Ho 2022, [Progressive Distillation](https://arxiv.org/abs/2202.00512): section 4 on predicting noise, picture or a mixture of both.
# - Heusel et al. 2017, [the Fréchet distance](https://arxiv.org/abs/1706.08500) that FSD is modelled on.
# - Jordan et al. 2024, [Muon](https://kellerjordan.github.io/posts/muon/).
#
# The idea of teaching diffusion with a small U-Net on sprites is that of DeepLearning.AI's course [How Diffusion Models Work](https://www.deeplearning.ai/short-courses/how-diffusion-models-work/); its network goes back to [minDiffusion](https://github.com/cloneofsimo/minDiffusion). Text, code, sprites and weights here are this course's own.
#
# **Next:** Lab 3, where you tell the network what to draw.
