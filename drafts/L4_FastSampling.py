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
# # Lab 4 · Fast sampling
#
# The sampler of Lab 1 calls the network 500 times. In this lab the same network, not trained again, draws sprites in 25 calls, and then in 10.
#
# **After this lab you can**
#
# - say why DDPM cannot skip levels, and show what happens if it does;
# - derive DDIM from the loss that the network was trained with, and read it as five lines of code;
# - measure speed fairly, and quality with error bars, a floor and a ceiling;
# - walk between two sprites in noise space, and turn a sprite into the noise that it comes from;
# - derive a solver of second order, and check its order on data where the exact answer is known.
#
# **Time:** about 60 minutes of reading. Running every cell takes about ⟨NUM minutes⟩ on two CPU cores; no GPU and no network are needed.
#
# **Before you start:** Lab 1 with its equations (2) to (5), the loss of Lab 2, and the contexts of Lab 3. From mathematics: logarithms, and one integral. New words are in the [glossary](../docs/GLOSSARY.md).

# %% [markdown]
# ## 1 · Set up
#
# As in Lab 1: find the course's folder, import the module, set the constants.

# %%
import inspect
import json
import sys
import time
from pathlib import Path

folders = [Path.cwd(), *Path.cwd().parents]
ROOT = next((folder for folder in folders if (folder / "diffusion_utilities.py").exists()), None)
if ROOT is None:
    raise FileNotFoundError(
        "Open this notebook inside a copy of the course (in Colab: git clone it, then %cd into it)."
    )
sys.path.insert(0, str(ROOT))

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML, Code, Markdown

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
# The sprites, the network of Lab 1, and the figures of the long runs that the course stores. `load_pretrained` builds the network, loads its weights and puts it in evaluation mode.

# %%
sprites, labels = load_sprites(ROOT / "data/sprites_1788_16x16.npy", ROOT / "data/sprite_labels_nc_1788_16x16.npy")
images, labels = sprite_tensors(sprites, labels, device)
nn_model = load_pretrained("model_trained", device)
stored = json.loads((save_dir / "metrics.json").read_text())["evaluation"]

# %% [markdown]
# Most pictures in this lab start from the same noise, so that they can be compared:

# %%
start = torch.randn(8, 3, height, height, generator=torch.Generator().manual_seed(0)).to(device)  # x_T

# %% [markdown]
# ## 2 · Why does DDPM need its steps?
#
# **What if Lab 1's sampler just skips levels?** Its loop visits $t = 500, 499, \dots, 1$. `step_pairs(25)` lists 25 levels, evenly spread, each with the one that comes after it: (500, 480), (480, 460), …, (20, 0).

# %%
Code(inspect.getsource(step_pairs), language="python")


# %%
@torch.no_grad()
def skip_levels(x, n):
    """Lab 1's loop with n of the 500 levels: a mistake, made on purpose."""
    for t, t_next in step_pairs(n, timesteps):
        z = torch.randn_like(x) if t_next > 0 else 0
        x = denoise_add_noise(x, t, nn_model(x, t / timesteps), z)
    return x


# %% [markdown]
# **Predict first:** will `skip_levels` draw (a) sprites that are a little coarser, (b) the grey blob of the incorrect sampler, or (c) neither?

# %%
torch.manual_seed(0)
skipped = skip_levels(start, 25)
show_images(skipped, nrow=1)

# %% [markdown]
# It is (c): noise. Equation (5) of Lab 1 leads from $t$ to $t-1$, and not to $t-20$. So after the first step the picture is at level 499, but the network is told 480, and so on. The 25 steps together remove the noise of about 25 steps.
#
# **So make the step as large as the gap.** Let $\text{prev}$ be the level to go to. Lab 1's equation (2), written for the way from $\text{prev}$ up to $t$, is
#
# $$x_t = \sqrt{\frac{\bar\alpha_t}{\bar\alpha_{\text{prev}}}}\; x_{\text{prev}} + \sqrt{1-\frac{\bar\alpha_t}{\bar\alpha_{\text{prev}}}}\; z. \tag{1}$$
#
# That is one step of a coarser schedule with $\beta = 1-\bar\alpha_t/\bar\alpha_{\text{prev}}$. Its levels are some of the old ones, so the network knows them. (It is told $k/n$ for the $k$-th of $n$ levels, which is the old $t/T$ if $n$ divides 500.)

# %%
def coarse_schedule(n):
    """DDPM's schedule with n large steps in place of 500 small ones; n divides 500."""
    levels = [0] + [t for t, _ in reversed(step_pairs(n, timesteps))]
    return NoiseSchedule.from_betas(1 - ab_t[levels[1:]] / ab_t[levels[:-1]])


# %% [markdown]
# The rows below are DDPM with 25, 10 and 5 large steps. Look at the white background, above all in the corners.

# %%
coarse = {}
for n in (25, 10, 5):
    coarse[n], _ = sample_ddpm(32, schedule=coarse_schedule(n), model=nn_model, seed=0, progress=False)
show_images(torch.cat([x[:8] for x in coarse.values()]), nrow=3)

# %%
print("how far the background is from white, in steps of 1/255")
for n, x in coarse.items():
    print(f"DDPM in {n:3} steps: {background_error(x, images):5.2f}")
full = stored["quality"]["DDPM, 500 steps"]["background_error"]
print(f"DDPM in 500 steps: {full['mean']:5.2f}  (stored, 1,788 samples)")

# %% [markdown]
# Now there are sprites, and those of 25 steps are good. The background tells more than the eye: it is off by ⟨NUM coarse 25, about 1.7⟩ steps of colour with 25 steps, ⟨NUM coarse 10, about 3.3⟩ with 10 and ⟨NUM coarse 5⟩ with 5, a faint grain over all of the picture. The fewer the steps, the more grain. (DDIM, below, leaves about 0.4 in 25 steps and 0.6 in 10.) There are two reasons.
#
# **The size of the noise.** DDPM puts back noise of variance $\sigma_t^2 = \beta_t$. For small steps this is right. For large ones it can be more than the level can hold, which the next cell shows for the step to level 20.

# %% tags=["nbval-check-output"]
for t in (21, 40):
    beta = 1 - ab_t[t] / ab_t[20]
    beta_tilde = (1 - ab_t[20]) / (1 - ab_t[t]) * beta
    print(f"from {t} to 20: β = {beta:.4f}, β̃ = {beta_tilde:.4f}, all noise at level 20: {1 - ab_t[20]:.4f}")

# %% [markdown]
# From level 40, the fresh noise alone has variance 0.025, but at level 20 there must be no more than 0.0095 in all. The network is told that there is so much, removes so much, and leaves the rest in the picture. The other choice of Lab 1, $\tilde\beta_t$, stays below: it comes back in section 3 as $\eta = 1$.
#
# **The shape.** Lab 1 derived a Gaussian for $x_{t-1}$ from a *known* $x_0$. But $x_0$ is not known: many sprites may fit $x_t$, and each has its own Gaussian. Over a small step these lie so close together that one Gaussian around their mean covers them all. Over a large step they part, and their mean is a place where none of them is. This is why DDPM was built with many small steps.

# %% [markdown]
# ## 3 · DDIM, derived
#
# ### What did training ask for?
#
# The loss of Lab 2 is, for each level $t$ by itself,
#
# $$L_t = \mathrm E\,\big\lVert \varepsilon - \varepsilon_\theta(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon,\; t)\big\rVert^2 .$$
#
# It uses one sprite, one level, one noise. No second level occurs in it. So the network has learned what follows from the *marginals* $q(x_t\mid x_0)$, and nothing about how $x_t$ and $x_{t-1}$ hang together. The chain of small steps was ours: we chose it when we derived the sampler. *Any* process with the same marginals has the same loss, and so the same network. Which of them can be walked back in few steps?
#
# ### A family with the same marginals
#
# Suppose that $x_0$ is known. Then so is the noise in $x_t$: it is $\varepsilon = (x_t - \sqrt{\bar\alpha_t}\,x_0)/\sqrt{1-\bar\alpha_t}$. Go from $t$ to any lower level like this: keep a part of that noise, and fill up with fresh noise.
#
# $$x_{\text{prev}} = \sqrt{\bar\alpha_{\text{prev}}}\;x_0 + \sqrt{1-\bar\alpha_{\text{prev}}-\sigma^2}\;\varepsilon + \sigma\, z, \qquad z \sim \mathcal N(0, I),\quad 0 \le \sigma^2 \le 1-\bar\alpha_{\text{prev}}. \tag{2}$$
#
# **Is the marginal right?** Given $x_0$, both $\varepsilon$ and $z$ are standard normal, and independent of each other. So $x_{\text{prev}}$ is Gaussian with mean $\sqrt{\bar\alpha_{\text{prev}}}\,x_0$, and its variance is the sum
#
# $$(1-\bar\alpha_{\text{prev}}-\sigma^2) + \sigma^2 = 1-\bar\alpha_{\text{prev}},$$
#
# *whatever $\sigma$ is*. This is $q(x_{\text{prev}}\mid x_0)$, as Lab 1's equation (2) has it. Start with the right $x_T$, and the marginals of all levels on the way follow, one from the other. Nothing in this asked for neighbouring levels.
#
# So the total amount of noise is fixed, and $\sigma$ only says how it is made up: how much is old noise, kept, and how much is fresh. **Why DDIM needs no fresh noise:** with $\sigma = 0$ it keeps as much of the old noise as the lower level demands. DDPM takes away more than that, and fills up. The incorrect sampler of Lab 1 takes away as much as DDPM, and does not fill up.
#
# **Is the loss really the same?** The full argument goes through the bound that diffusion models are trained on. Its terms compare (2) with the true $x_0$ and (2) with the guessed $\hat x_0$: two Gaussians of the same variance $\sigma^2$, whose Kullback-Leibler divergence is the squared distance of their means, divided by $2\sigma^2$. With $x_0 - \hat x_0 = -\sqrt{(1-\bar\alpha_t)/\bar\alpha_t}\;(\varepsilon-\varepsilon_\theta)$ this is
#
# $$\frac{1}{2\sigma^2}\Big(\sqrt{\bar\alpha_{\text{prev}}} - \sqrt{1-\bar\alpha_{\text{prev}}-\sigma^2}\,\frac{\sqrt{\bar\alpha_t}}{\sqrt{1-\bar\alpha_t}}\Big)^2 \lVert x_0-\hat x_0\rVert^2 = \gamma_t\,\lVert\varepsilon-\varepsilon_\theta\rVert^2 .$$
#
# Only the weight $\gamma_t$ depends on $\sigma$. A network that does its best at each level does so for any weights, and the loss of Lab 2 is a sum of the same squared errors.
#
# ### The step
#
# At sampling time $x_0$ is not known. Put in the network's guess, $\varepsilon_\theta$ for $\varepsilon$ and $\hat x_0$ for $x_0$:
#
# $$\boxed{\;x_{\text{prev}} = \sqrt{\bar\alpha_{\text{prev}}}\;\underbrace{\frac{x_t-\sqrt{1-\bar\alpha_t}\;\varepsilon_\theta}{\sqrt{\bar\alpha_t}}}_{\hat x_0} + \sqrt{1-\bar\alpha_{\text{prev}}-\sigma^2}\;\varepsilon_\theta + \sigma z\;} \tag{3}$$
#
# With $\sigma = 0$ this can be said in words: *guess the clean picture; then noise the guess again, only to the lower level, and with the predicted noise instead of fresh noise.*
#
# **Which $\sigma$?** One number $\eta$ between 0 and 1 sets it for all steps:
#
# $$\sigma = \eta\,\sqrt{\frac{1-\bar\alpha_{\text{prev}}}{1-\bar\alpha_t}}\,\sqrt{1-\frac{\bar\alpha_t}{\bar\alpha_{\text{prev}}}} . \tag{4}$$
#
# $\eta = 0$ is DDIM. For neighbouring levels $\bar\alpha_t/\bar\alpha_{t-1} = \alpha_t$, so $\eta = 1$ gives $\sigma^2 = \tilde\beta_t$, the posterior variance of Lab 1. The mean is then the posterior's as well: if a mean $c_1 x_0 + c_2 x_t$ with $c_2 > 0$ is to give the right marginal, then $c_2^2\,(1-\bar\alpha_t) = 1-\bar\alpha_{t-1}-\sigma^2$ and $c_1 + c_2\sqrt{\bar\alpha_t} = \sqrt{\bar\alpha_{t-1}}$, which leaves one choice. So $\eta = 1$ over all levels is DDPM with its second choice of $\sigma_t$. The limit in (2) always holds: $\sigma^2 = \eta^2\,(1-\bar\alpha_{\text{prev}})\,\frac{1-\bar\alpha_t/\bar\alpha_{\text{prev}}}{1-\bar\alpha_t}$, and the fraction is at most 1 because $\bar\alpha_{\text{prev}} \le 1$.
#
# In the module, $\text{prev}$ is `t_prev`. The last lines are equation (3):

# %%
Code(inspect.getsource(denoise_ddim), language="python")

# %% [markdown]
# <!-- exercise: write denoise_ddim; classic bugs: ᾱ_t in place of ᾱ_prev, σ² forgotten under the root -->
# Equations (3) and (4) for one pixel, with plain numbers, compared with the module:

# %% tags=["nbval-check-output"]
t, t_prev, x_pixel, eps_pixel, z_pixel, eta = 100, 80, 0.3, -1.2, 0.7, 0.5
ab, ab_prev = ab_t[t], ab_t[t_prev]
sigma = eta * ((1 - ab_prev) / (1 - ab)) ** 0.5 * (1 - ab / ab_prev) ** 0.5
x0_pixel = (x_pixel - (1 - ab) ** 0.5 * eps_pixel) / ab**0.5
by_hand = ab_prev**0.5 * x0_pixel + (1 - ab_prev - sigma**2) ** 0.5 * eps_pixel + sigma * z_pixel
by_module = denoise_ddim(torch.tensor(x_pixel), t, t_prev, torch.tensor(eps_pixel), eta, torch.tensor(z_pixel))
print(f"by hand {by_hand:.4f}, by the module {by_module:.4f}")

# %% [markdown]
# **Does the marginal hold for any $\sigma$?** Not only on paper: take one clean value, 0.7, noise it 100,000 times to level 400, and go to level 100 in one step with the true noise.

# %% tags=["nbval-check-output"]
eps_true, z = torch.randn(2, 100_000, generator=torch.Generator().manual_seed(3))
x_400 = perturb_input(torch.full((100_000,), 0.7), 400, eps_true)
print(f"wanted:  mean {0.7 * ab_t[100].sqrt():.2f}, variance {1 - ab_t[100]:.2f}")
for eta in (0.0, 0.5, 1.0):
    x_100 = denoise_ddim(x_400, 400, 100, eps_true, eta, z)
    print(f"η = {eta}: mean {x_100.mean():.2f}, variance {x_100.var():.2f}")

# %% [markdown]
# The same mean and variance for every $\eta$, across 300 levels in one step.
#
# **Old noise kept, in numbers.** At the end of Lab 1 we said that the step without noise subtracts only about half as much of the predicted noise. Equation (5) there subtracts $\frac{\beta_t}{\sqrt{\alpha_t}\sqrt{1-\bar\alpha_t}}\,\varepsilon_\theta$. Equation (3) with $\sigma=0$ and neighbouring levels subtracts $\big(\frac{\sqrt{1-\bar\alpha_t}}{\sqrt{\alpha_t}} - \sqrt{1-\bar\alpha_{t-1}}\big)\,\varepsilon_\theta$.

# %% tags=["nbval-check-output"]
for t in (500, 250, 100, 10, 1):
    by_ddpm = b_t[t] / (a_t[t] * (1 - ab_t[t])).sqrt()
    by_ddim = ((1 - ab_t[t]) / a_t[t]).sqrt() - (1 - ab_t[t - 1]).sqrt()
    print(f"t = {t:3}: DDPM subtracts {by_ddpm:.4f} ε, DDIM {by_ddim:.4f} ε, ratio {by_ddim / by_ddpm:.2f}")

# %% [markdown]
# Half, except at the very end, where nothing is put back by either.
#
# **What is not exact.** The proof used the true $x_0$ and the true $\varepsilon$. The step uses guesses, which are averages over all that fits. So a large step is still an approximation; it goes in a straight line where the true path is curved. Sections 4 and 6 measure what this costs, and section 10 makes it smaller.

# %% [markdown]
# ## 4 · Sprites in 25 steps
#
# **Run it:** 32 sprites, about a second on two CPU cores. (The first line only makes the result repeatable.)

# %%
torch.manual_seed(0)
samples, intermediate = sample_ddim(32, n=25)
show_images(samples, nrow=4)

# %% [markdown]
# Compare them with the 32 of Lab 1, which took 500 steps. ⟨CHECK: White backgrounds, closed outlines, people and things that can be named: no difference in kind. The insides look a little softer.⟩
#
# Now watch the first 16 appear: press play. (If there is no picture, run the cell.) The film strip below shows the same for two sprites. Look for what is missing, compared with Lab 1's.

# %%
animation_ddim = plot_sample(intermediate, 16, 2, save_dir, "ani_run", None, save=False)
HTML(animation_ddim.to_jshtml())

# %%
film_strip({"sprite 0": intermediate, "sprite 1": intermediate[:, 1:]})

# %% [markdown]
# The flicker is missing. In Lab 1 each step brought fresh noise. Here one fixed noise fades, and the sprite shows through.
#
# The sampler is again a loop, and since it adds no noise, all of its result is decided by $x_T$. We shall need the loop with a start of our own choice, so here it is. The next cell compares it with the module's, which drew its $x_T$ from seed 0, as `start` was.

# %%
@torch.no_grad()
def decode(x, n=25, eta=0.0, generator=None):
    """From noise x_T that is given to sprites, by DDIM in n steps."""
    for t, t_prev in step_pairs(n, timesteps):
        z = torch.randn(x.shape, generator=generator).to(x)  # multiplied by 0 if eta = 0
        x = denoise_ddim(x, t, t_prev, nn_model(x, t / timesteps), eta, z)
    return x


# %% tags=["nbval-check-output"]
by_module, _ = sample_ddim(8, n=25, model=nn_model, seed=0, progress=False)
print(f"largest difference: {(decode(start) - by_module).abs().max():.2f}")

# %% [markdown]
# **Predict first:** the same eight noises, walked down in 5, 10, 25, 50 and 100 steps. Will the rows show the same sprites?

# %%
same_noise = {n: sample_ddim(8, n=n, model=nn_model, seed=0, progress=False)[0] for n in (5, 10, 25, 50, 100)}
show_images(torch.cat(list(same_noise.values())), nrow=5)

# %% [markdown]
# Each column is one sprite. With more steps it gains detail and contrast, and between 50 and 100 hardly anything changes. All rows follow the same path, more or less exactly. DDPM has no such thing: with another number of steps it draws other noise, and so other sprites.
#
# **Does it collapse, like the incorrect sampler?** Ask the exact denoiser of Lab 1, section 9, which is the best possible one for plain numbers from $\mathcal N(m, s^2)$. There is no network in this test, so what is wrong is the step's fault.

# %%
def exact_denoiser(m, s):
    """Lab 1's best possible noise prediction for data N(m, s²)."""

    def model(x, t, c=None):
        ab = ab_t[round(float(t) * timesteps)].to(x)
        return (1 - ab).sqrt() * (x - ab.sqrt() * m) / (ab * s**2 + 1 - ab)

    return model


# %% tags=["nbval-check-output"]
m, s = 0.4, 0.25
for n in (1, 5, 10, 25, 100, 500):
    numbers, _ = sample_ddim(32, n=n, model=exact_denoiser(m, s), seed=0, progress=False)
    print(f"{n:3} steps: mean {numbers.mean():.2f}   standard deviation {numbers.std():.3f}   (data: {m} and {s})")

# %% [markdown]
# With 500 steps the spread is right, without any noise put back. With fewer it is too small, by 14 % at 25 steps, and with one step nothing is left of it but the mean. So few steps do shrink the variety, and this is the price in its purest form: it shows as softness and missing contrast. Doubling the steps about halves the error. Section 10 gets more for the same price.

# %% [markdown]
# ## 5 · How much faster is it?
#
# **Fair** means: the same network, the same number of sprites, the same machine at the same time. One run before the clock starts, because first calls are slow. Several runs in turn, so that a busy moment does not hit one sampler alone. The median, and beside it the fastest and the slowest. And two figures kept apart: *steps*, which belong to the method, and *seconds*, which belong to this machine.

# %%
def measure_speed(runs, repeats=3):
    """Seconds of each run, several times over, taken in turn. The samplers return only when a GPU has finished, too."""
    seconds = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


# %%
options = {"save_rate": timesteps, "model": nn_model, "seed": 0, "progress": False}
runs = {
    "DDPM, 500 steps": lambda: sample_ddpm(8, **options),
    "DDIM, 25 steps": lambda: sample_ddim(8, n=25, **options),
    "DDIM, 10 steps": lambda: sample_ddim(8, n=10, **options),
    "DPM-Solver++, 10 steps": lambda: sample_dpm(8, n=10, **options),
}
sample_ddim(8, n=5, **options)  # warm up
seconds = measure_speed(runs)

# %%
lines = ["| sampler | steps | seconds: median (least to most) | ms a step | times faster |", "|:--|--:|--:|--:|--:|"]
slowest = np.median(seconds["DDPM, 500 steps"])
for name, times in seconds.items():
    steps, median = int(name.split()[-2]), np.median(times)
    span = f"{median:.2f} ({min(times):.2f} to {max(times):.2f})"
    lines.append(f"| {name} | {steps} | {span} | {1000 * median / steps:.1f} | {slowest / median:.1f} |")
Markdown("\n".join(lines))

# %% [markdown]
# All three runs of each are whole runs of 8 sprites; nothing was scaled up. A step costs about the same with every sampler, because nearly all of it is one pass through the network. So the seconds follow the steps: 20 times fewer steps are about ⟨NUM ratio DDPM 500 to DDIM 25⟩ times faster. The small rest is what each call does once: it prepares the network.
#
# Two things must not be forgotten in a comparison of samplers. With guidance (Lab 3), a step costs two passes. And speed alone says nothing: a sampler of one step is the fastest of all.

# %% [markdown]
# ## 6 · The frontier: quality against steps
#
# **How many steps are enough?** The measure is the *Fréchet sprite distance* (FSD) of Lab 2: how far the samples' features are from those of fresh sprites that no network has seen. Smaller is better. Two lines must be in the plot. The *floor*: fresh sprites against other fresh sprites. Nothing can be expected below. The *ceiling*: pure noise against fresh sprites, which is what a sampler that does nothing would get. Unlike the floor it is no limit; one can do worse than nothing.
#
# The long runs are stored: 1,788 samples for each of three seeds. Each has its own start noise and its own fresh sprites, and the error bar is the standard deviation over the three. `python weights/make_weights.py --evaluate` makes them again. DPM-Solver++ is the subject of section 10.

# %%
floor, ceiling = (stored["quality"][name]["fsd"]["mean"] for name in ("fresh sprites", "pure noise"))
styles = {"DDIM": ("#0072B2", "o-"), "DPM-Solver++": ("#D55E00", "s--"), "DDPM": ("#009E73", "D")}
fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
for name, (colour, style) in styles.items():
    figures = stored["frontier"][name]
    steps, fsd = [int(n) for n in figures], list(figures.values())
    means, errors = [f["mean"] for f in fsd], [f["std"] for f in fsd]
    ax.errorbar(steps, means, yerr=errors, fmt=style, color=colour, capsize=3, label=name)
ax.axhline(ceiling, color="#CC79A7", linestyle=":", label="ceiling: pure noise")
ax.axhline(floor, color="black", linestyle="-.", label="floor: fresh against fresh sprites")
ax.set(xscale="log", yscale="log", xlabel="steps = passes through the network", ylabel="FSD (1,788 samples)")
ax.legend()
plt.show()

# %% [markdown]
# *The frontier: FSD against the number of steps, both on logarithmic axes, for three samplers with the same network; error bars over three seeds.* The same as a table:

# %%
lines = ["| sampler | steps | FSD |", "|:--|--:|--:|"]
for name, figures in stored["frontier"].items():
    lines += [f"| {name} | {n} | {f['mean']:.1f} ± {f['std']:.1f} |" for n, f in figures.items()]
lines += [f"| fresh sprites (floor) | | {floor:.1f} |", f"| pure noise (ceiling) | | {ceiling:.0f} |"]
Markdown("\n".join(lines))

# %% [markdown]
# ⟨CHECK: One step is even above the ceiling: 1,788 pictures that are nearly the same are farther from sprites than noise is (section 11). From two steps on there is something to be seen. DDIM falls steeply to about 10 steps, and from about 50 on nothing is gained any more: the curve is flat within its error bars. It ends well above the floor: what is left there is the network's error, and no sampler can remove it. DPM-Solver++ reaches the flat part with about half of the steps. DDPM with its 500 steps is at ⟨NUM DDPM 500⟩, against ⟨NUM DDIM 25⟩ for DDIM in 25.⟩
#
# **Now live, and small:** 300 samples, one seed. The reference is an equal number of fresh sprites. They are drawn by the program that drew the data, with another seed.

# %%
sys.path.insert(0, str(ROOT / "data"))
from make_sprites import fresh_sprites, to_arrays

n_live = 300
classifier = load_classifier(device)
fresh, _ = sprite_tensors(*to_arrays(fresh_sprites(2 * n_live, seed=4)), device)

# %% [markdown]
# **Small samples have a larger floor.** FSD compares means and covariances of 128 features, and these are estimated from the pictures at hand. A mean of $n$ values is off by a variance that falls as $1/n$, and FSD adds the squares of all such errors up. Two halves of the same set are therefore not at 0. Look at how the floor changes with $n$; each is the mean over five random splits of the fresh sprites.

# %% tags=["nbval-check-output"]
splits = [torch.randperm(len(fresh), generator=torch.Generator().manual_seed(i)).to(device) for i in range(5)]
for n in (75, 150, 300):
    distances = [frechet_sprite_distance(fresh[order[:n]], fresh[order[-n:]], classifier) for order in splits]
    print(f"floor for {n:3} pictures: {np.mean(distances):3.0f} ± {np.std(distances, ddof=1):.0f}")

# %% [markdown]
# It about halves when $n$ doubles, as said. For 1,788 it is ⟨NUM floor of 1,788⟩. So an FSD may be compared only with others of the same $n$, and the figures below not with those of the plot. They should have the same order.

# %%
reference = fresh[splits[0][:n_live]]


def live_fsd(x):
    """FSD of n_live samples; pictures count as they are shown, clipped to [-1, 1]."""
    return frechet_sprite_distance(x.clamp(-1, 1), reference, classifier)


live = {}
for n in (5, 10, 25):
    x, _ = sample_ddim(n_live, n=n, model=nn_model, seed=0, progress=False)
    live[f"DDIM, {n} steps"] = live_fsd(x)
    print(f"DDIM, {n:2} steps: FSD {live[f'DDIM, {n} steps']:.0f}")

# %% [markdown]
# ⟨CHECK: The same order as in the plot: 25 steps are better than 10, and 10 better than 5.⟩ One seed has no error bar, so do not read anything into differences that are as small as the floor's spread.

# %% [markdown]
# ## 7 · From DDIM to DDPM: η
#
# **What does fresh noise change?** Equation (4) puts it back in any dose. Take *one* start noise, eight times over, and give each copy its own $z$. The rows have $\eta$ = 0, 0.25, 0.5 and 1.
#
# **Predict first:** how alike will the eight sprites of each row be?

# %%
one_start = start[:1].repeat(8, 1, 1, 1)
by_eta = {eta: decode(one_start, eta=eta, generator=torch.Generator().manual_seed(4)) for eta in (0.0, 0.25, 0.5, 1.0)}
show_images(torch.cat(list(by_eta.values())), nrow=4)

# %%
for eta, x in by_eta.items():
    print(f"η = {eta:4}: spread of a pixel over the eight sprites {x.std(dim=0).mean():.2f}")
print(f"for comparison, eight real sprites: {images[:8].std(dim=0).mean():.2f}")

# %% [markdown]
# With $\eta = 0$ all eight are equal: $x_T$ decides everything. ⟨CHECK: With 0.25 they are variations on one sprite. With 0.5 and 1 most are different sprites, nearly as different as real ones.⟩ With much fresh noise the start is forgotten on the way.
#
# **And the quality?** First without a network. The exact denoiser of section 4, in ten steps: does fresh noise bring the lost spread back?

# %% tags=["nbval-check-output"]
for eta in (0.0, 0.5, 1.0):
    numbers, _ = sample_ddim(32, n=10, eta=eta, model=exact_denoiser(m, s), seed=0, progress=False)
    print(f"η = {eta}: standard deviation {numbers.std():.3f}   (data: {s})")

# %% [markdown]
# No: it loses a little more. With a perfect denoiser, and few steps, fresh noise does not help. **Predict first:** and with our network? Ten steps, 300 samples each, as in section 6:

# %%
for eta in (0.5, 1.0):
    x, _ = sample_ddim(n_live, n=10, eta=eta, model=nn_model, seed=0, progress=False)
    live[f"DDIM, 10 steps, η = {eta}"] = live_fsd(x)
for name in ("DDIM, 10 steps", "DDIM, 10 steps, η = 0.5", "DDIM, 10 steps, η = 1.0"):
    print(f"{name:24} FSD {live[name]:.0f}")

# %% [markdown]
# ⟨CHECK: With the network it is the other way round: the more fresh noise, the better the FSD, already in ten steps. (Seen in a trial with 150 samples: 133, 123, 110 for η = 0, 0.5, 1.) If it is not so now, the next sentences must change.⟩ The difference between the two tests is that the network makes mistakes. Without fresh noise, an error made at a high level is carried down to the end. With it, part of the picture is drawn anew at each level, and a later, better informed prediction decides about that part. So $\eta$ trades two errors against each other: that of the large step, which grows with $\eta$, and that of the network, which fresh noise repairs in part. Which one weighs more depends on the network and on the number of steps. The DDIM paper, with larger networks and photographs, found $\eta = 0$ the best for few steps and DDPM the best for all of them. So measure.

# %% [markdown]
# ## 8 · Context
#
# **Does it work with contexts?** Nothing in section 3 cares how the network came to its prediction. `sample_ddim_context` is the same loop with Lab 3's network. Each row asks for one class, with guidance $w = 2$, in 25 steps. All rows start from the same eight noises, so look down the columns as well.

# %%
context_model = load_pretrained("context_model_trained", device)
by_class = []
for k in range(n_cfeat):
    context = torch.eye(n_cfeat)[[k] * 8]
    x, _ = sample_ddim_context(8, context, n=25, guidance=2, model=context_model, seed=0, progress=False)
    by_class.append(x)
show_images(torch.cat(by_class), nrow=n_cfeat)

# %%
asked = torch.eye(n_cfeat).repeat_interleave(8, dim=0).to(device)
right = class_accuracy(torch.cat(by_class), asked, classifier)
for name, share in zip(CLASS_NAMES, right):
    print(f"{name:12} {share:4.0%} of 8;  stored, of 1,788: {stored['context_accuracy']['w = 2'][name]['mean']:4.0%}")

# %% [markdown]
# Down a column, the kind changes and something stays: the main colours, and much of the outline. ⟨CHECK: with the final weights⟩ The noise decides one part and the context another. Lab 3's sliders rest on this: the same start, 25 steps or fewer, and only the context changes.

# %% [markdown]
# ## 9 · What determinism buys
#
# With $\eta = 0$ each noise has *its* sprite. So the space of noises is a map of sprites, and one can walk on it.
#
# ### Walking between two sprites
#
# **Which way leads from one noise to another?** The straight line would be $(1-u)\,a + u\,b$, with $u$ from 0 to 1. But $a$ and $b$ are independent and of variance 1, so half-way the variance is $\frac14 + \frac14 = \frac12$. The network has never been shown such weak noise at $t = 500$. A way that keeps the variance is $\cos\theta\;a + \sin\theta\;b$, because $\cos^2\theta + \sin^2\theta = 1$. It is an arc of a circle.
#
# The general form, for $a$ and $b$ at any angle $\Omega$, is called *spherical interpolation*, or slerp: $\frac{\sin((1-u)\Omega)}{\sin\Omega}\,a + \frac{\sin(u\Omega)}{\sin\Omega}\,b$. With $\Omega = 90°$ it is the arc above.

# %% [markdown]
# <!-- exercise: write slerp; classic bug: the straight line, or weights that add up to 1 -->

# %%
def slerp(a, b, u):
    """The point u (from 0 to 1) of the arc from a to b; both are one picture of noise, (3, h, w)."""
    cos = (a * b).sum() / (a.norm() * b.norm())
    omega = cos.acos()
    return (torch.sin((1 - u) * omega) * a + torch.sin(u * omega) * b) / torch.sin(omega)


# %% [markdown]
# How long are they? A picture of noise has 768 values of mean square 1, so its length is about $\sqrt{768} = 27.7$. Look at the middle of both ways, and at how little the length of real noise varies.

# %% tags=["nbval-check-output"]
a, b = start[0], start[4]
norms = torch.randn(10_000, 768, generator=torch.Generator().manual_seed(5)).norm(dim=1)
print(f"length of noise: {norms.mean():.1f} ± {norms.std():.1f}")
print(f"angle between a and b: {((a * b).sum() / (a.norm() * b.norm())).acos().rad2deg():.0f}°")
for u in (0.0, 0.25, 0.5, 1.0):
    print(f"u = {u:4}: straight line {((1 - u) * a + u * b).norm():.1f}, arc {slerp(a, b, u).norm():.1f}")

# %% [markdown]
# Half-way the straight line is at about 20, near 27.7/√2 = 19.6: more than ten standard deviations from any real noise. Now the sprites on the way. Upper row: straight line. Lower row: arc.
#
# **Predict first:** in which way will the middle of the upper row be wrong?

# %%
shares = torch.linspace(0, 1, 9).tolist()
line = torch.stack([(1 - u) * a + u * b for u in shares])
arc = torch.stack([slerp(a, b, u) for u in shares])
show_images(decode(torch.cat([line, arc])), nrow=2)

# %% [markdown]
# The ends are the same. ⟨CHECK: In the middle of the straight line the sprites are grey and flat: weak noise is read as a picture with little in it. On the arc they keep their colours.⟩ (With other pairs the difference can be smaller: this pair was chosen because it shows it well.) Each stage of the arc is drawn from noise as good as any other, so this is not a cross-fade: a cross-fade of two sprites would show both at once.

# %% [markdown]
# ### From a sprite to its noise, and back
#
# **Can one go up as well?** With $\sigma = 0$ the step (3) says: guess the clean picture, noise it again to another level with the predicted noise. Nothing in this asks that the other level be lower. So walk the list of levels upwards,
#
# $$x_{\text{next}} = \sqrt{\bar\alpha_{\text{next}}}\;\hat x_0 + \sqrt{1-\bar\alpha_{\text{next}}}\;\varepsilon_\theta(x_t, t), \qquad t < \text{next}. \tag{5}$$
#
# Is this the inverse of the way down? Not exactly. The step down from $\text{next}$ to $t$ uses the prediction *at $\text{next}$*, and (5) uses the one at $t$, because $x_{\text{next}}$ is not known yet. The smaller the step, the less the two differ. In code, equation (5) is `perturb_input` of `predict_x0`. At level 0 there is no noise to predict, and the network was never told $t = 0$, so the first step tells it $t = 1$.

# %% [markdown]
# <!-- exercise: write encode; classic bugs: the list not reversed, the level of the target in predict_x0 -->

# %%
@torch.no_grad()
def encode(x, n=25):
    """From sprites x_0 to the noise that they come from: DDIM run backwards."""
    for t_next, t in reversed(step_pairs(n, timesteps)):
        pred_noise = nn_model(x, max(t, 1) / timesteps)
        x = perturb_input(predict_x0(x, t, pred_noise), t_next, pred_noise)
    return x


# %% [markdown]
# There and back, for eight sprites of the data. Rows: the sprites; what comes back with 10 steps each way; with 25; with 100. For the error, remember that a colour has 256 steps, each 1/127.5 = 0.008 wide.

# %%
real = images[:8]
codes = {n: encode(real, n) for n in (5, 10, 25, 50, 100)}
returned = {n: decode(code, n) for n, code in codes.items()}
round_trip = {n: (x - real).square().mean().sqrt().item() for n, x in returned.items()}
show_images(torch.cat([real, returned[10], returned[25], returned[100]]), nrow=4)

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
steps, errors = list(round_trip), list(round_trip.values())
ax.loglog(steps, errors, "o-", color="#0072B2", label="there and back")
ax.loglog(steps, [errors[0] * steps[0] / n for n in steps], ":", color="#D55E00", label="halves as steps double")
ax.axhline(1 / 127.5, color="#009E73", linestyle="--", label="one step of colour")
ax.set(xlabel="steps each way", ylabel="root mean square error")
ax.legend()
plt.show()

# %% [markdown]
# *The error of the round trip against the number of steps, on logarithmic axes; pictures lie in [-1, 1].* The error halves as the steps double. In 10 steps the sprites come back with some of their colours faded; in 25 they can hardly be told from the originals. In 100 the error is about one step of colour.
#
# So every sprite has its noise, also one that the network did not draw. Is it noise like any other? Look at its standard deviation:

# %%
for name, x in {"drawn noise": start, "noise of real sprites": codes[100]}.items():
    print(f"{name:22} mean {x.mean():5.2f}, standard deviation {x.std():.2f}")

# %% [markdown]
# Not quite. It is too weak: ⟨NUM std of codes[100], about 0.6⟩ where drawn noise has 1. A likely reason: a real background is *exactly* white, and so are many tones exactly flat. The network was trained on pictures with at least a little noise everywhere, and where there is none, (5) finds little to enlarge. The way down undoes what the way up did, so the sprite comes back all the same.
#
# And one can walk between two real sprites: encode both, take the arc, decode. The ends of the row are from the data.

# %%
code_a, code_b = codes[100][0], codes[100][1]
between = torch.stack([slerp(code_a, code_b, u) for u in shares])
show_images(decode(between, n=100), nrow=1)

# %% [markdown]
# ⟨CHECK: Both ends are right. The stages between are sprites as well, and somewhere half-way one kind turns into the other.⟩

# %% [markdown]
# ## 10 · A solver of second order
#
# ### The path as a differential equation
#
# **What is being approximated?** Write $a = \sqrt{\bar\alpha}$ and $\sigma = \sqrt{1-\bar\alpha}$ for the weights of picture and noise, and let
#
# $$\lambda = \ln\frac{a}{\sigma} = \ln\frac{\sqrt{\bar\alpha}}{\sqrt{1-\bar\alpha}},$$
#
# half the logarithm of the signal-to-noise ratio. On the way down $\lambda$ grows. (This $\sigma$ is the noise of a level, and not that of equation (2), which is 0 from here on.) Divide the DDIM step by $\sigma_{\text{prev}}$, and put in $\varepsilon_\theta = (x_t - a_t\hat x_0)/\sigma_t$:
#
# $$\frac{x_{\text{prev}}}{\sigma_{\text{prev}}} = \frac{a_{\text{prev}}}{\sigma_{\text{prev}}}\,\hat x_0 + \varepsilon_\theta = \frac{x_t}{\sigma_t} + \big(e^{\lambda_{\text{prev}}} - e^{\lambda_t}\big)\,\hat x_0 . \tag{6}$$
#
# Let the step become very small. With $y = x/\sigma$ this is a differential equation:
#
# $$\frac{dy}{d\lambda} = e^{\lambda}\,\hat x_0(x, \lambda). \tag{7}$$
#
# This is the path that all rows of section 4 followed. Integrate it over one step, *exactly*:
#
# $$y_{\text{prev}} = y_t + \int_{\lambda_t}^{\lambda_{\text{prev}}} e^{\lambda}\,\hat x_0(\lambda)\,d\lambda . \tag{8}$$
#
# **First order.** Freeze $\hat x_0$ at its value at the beginning of the step. The integral is $(e^{\lambda_{\text{prev}}} - e^{\lambda_t})\,\hat x_0$, and this is (6). *DDIM is the exact solution for a guess that does not change.*
#
# **Second order.** But the guess does change, and we know how: the step before had its own guess, $\hat x_{0,\text{before}}$ at $\lambda_{\text{before}}$. Let it go on changing in a straight line. Half-way through a step of length $h = \lambda_{\text{prev}} - \lambda_t$ it will be
#
# $$D = \hat x_0 + \frac h2\cdot\frac{\hat x_0 - \hat x_{0,\text{before}}}{\lambda_t - \lambda_{\text{before}}} = \hat x_0 + \frac{1}{2r}\big(\hat x_0 - \hat x_{0,\text{before}}\big), \qquad r = \frac{\lambda_t-\lambda_{\text{before}}}{h}. \tag{9}$$
#
# Put $D$ in the place of the frozen guess. Integrating the straight line exactly would give a slightly other weight, and the difference is of third order in $h$: over all $1/h$ steps, an error of second order, like what is neglected anyway. Multiply (6) by $\sigma_{\text{prev}}$, with $\sigma_{\text{prev}}e^{\lambda_{\text{prev}}} = a_{\text{prev}}$:
#
# $$\boxed{\;x_{\text{prev}} = \frac{\sigma_{\text{prev}}}{\sigma_t}\,x_t + \sqrt{\bar\alpha_{\text{prev}}}\,\big(1-e^{-h}\big)\,D\;} \tag{10}$$
#
# This is DPM-Solver++(2M): of second order, and "M" for *multistep*, because it remembers. It needs no further pass through the network. Two cases have $D = \hat x_0$: the first step, which remembers nothing; and the last, to $t = 0$, where $h$ is infinite and (10) becomes $x_{\text{prev}} = \hat x_0$.

# %%
Code(inspect.getsource(predict_x0) + "\n\n" + inspect.getsource(denoise_dpm), language="python")

# %% [markdown]
# <!-- exercise: write denoise_dpm; classic bugs: r upside down, sign of h -->
# Without a step before, it must be DDIM's step:

# %% tags=["nbval-check-output"]
pred_noise = torch.randn(start.shape, generator=torch.Generator().manual_seed(6)).to(device)
by_dpm = denoise_dpm(start, 300, 250, predict_x0(start, 300, pred_noise))
by_ddim = denoise_ddim(start, 300, 250, pred_noise)
print(f"largest difference: {(by_dpm - by_ddim).abs().max():.4f}")


# %% [markdown]
# ### Is it really of second order?
#
# "Second order" is a promise: *twice the steps, a quarter of the error*. For Gaussian data it can be checked, because the exact solution of (7) is known. With data of mean 0 and standard deviation $s$, a number at level $t$ has variance $\bar\alpha_t s^2 + 1-\bar\alpha_t$, and the path keeps each number at the same multiple of the standard deviation. So $x_T = 1$ must arrive at level $t$ as the ratio of the two standard deviations.
#
# We stop at level 100, and not at 0. The promise supposes that the steps in $\lambda$ become smaller when there are more of them. Look at the last whole step before 0, from level $2\Delta$ to level $\Delta$, and at a step of the same size further up:

# %% tags=["nbval-check-output"]
lam = 0.5 * (ab_t[1:].log() - (1 - ab_t[1:]).log())  # λ_1 … λ_T; λ_0 is infinite
for delta in (50, 25, 10, 5):
    near_0 = lam[delta - 1] - lam[2 * delta - 1]
    further_up = lam[300 - delta - 1] - lam[300 - 1]
    print(f"steps of {delta:2} levels: h = {near_0:.2f} for the last before 0, {further_up:.2f} from level 300")

# %% [markdown]
# Further up, $h$ shrinks with the step. Near 0 it hardly does: $\lambda$ grows without limit there, and the very last step is infinitely long. So the promise cannot be kept down to 0. In pictures this hardly matters, since at level 10 the noise has a weight of only 0.05. But a check of the order must stay away from it. (`tests/test_oracle.py` of this course does the same.)

# %%
def path_error(stride, solver, s=0.25, stop=100):
    """Walk x_T = 1 down to level ``stop`` in steps of ``stride``; the distance to the exact solution."""
    x, before, model = torch.ones(1, dtype=torch.float64), None, exact_denoiser(0.0, s)
    for t in range(timesteps, stop, -stride):
        x0_pred = predict_x0(x, t, model(x, t / timesteps))
        x = denoise_dpm(x, t, t - stride, x0_pred, before if solver == "DPM-Solver++" else None)
        before = t, x0_pred
    spread = (ab_t * s**2 + 1 - ab_t).sqrt()
    return abs(x.item() - (spread[stop] / spread[timesteps]).item())


# %% tags=["nbval-check-output"]
strides = (80, 40, 20, 10, 5)
path_errors = {solver: [path_error(stride, solver) for stride in strides] for solver in ("DDIM", "DPM-Solver++")}
for solver, errors in path_errors.items():
    ratios = [f"{errors[i] / errors[i + 1]:.1f}" for i in range(len(errors) - 1)]
    print(f"{solver:13} error at 80 steps {errors[-1]:.5f}; as the steps double, it falls by", *ratios)

# %% [markdown]
# DDIM's error halves. That of DPM-Solver++ falls to a quarter. The promise is kept.
#
# ### And for sprites?
#
# There is no exact solution here, so take 100 steps of DPM-Solver++ as the truth, and look at how far fewer steps are from it, from the same noise.

# %%
truth, _ = sample_dpm(8, n=100, model=nn_model, seed=0, progress=False)
counts, sprite_errors = (3, 5, 10, 20, 50), {}
for solver, sample in {"DDIM": sample_ddim, "DPM-Solver++": sample_dpm}.items():
    results = [sample(8, n=n, model=nn_model, seed=0, progress=False)[0] for n in counts]
    sprite_errors[solver] = [(x - truth).square().mean().sqrt().item() for x in results]

# %%
fig, axs = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
down_to_100 = [(timesteps - 100) // stride for stride in strides]
for solver, (colour, style) in list(styles.items())[:2]:
    axs[0].loglog(down_to_100, path_errors[solver], style, color=colour, label=solver)
    axs[1].loglog(counts, sprite_errors[solver], style, color=colour, label=solver)
axs[0].set(title="exact denoiser, down to level 100", xlabel="steps", ylabel="error")
axs[1].set(title="sprites, down to 0", xlabel="steps", ylabel="root mean square distance")
axs[0].legend()
plt.show()

# %% [markdown]
# *Error against steps, on logarithmic axes: a slope of -1 on the left for DDIM, of -2 for DPM-Solver++; on the right, the distance of eight sprites from those of 100 steps.* ⟨CHECK: For sprites, DPM-Solver++ is ahead as well: it needs half of the steps for the same error, or fewer. But its line is not twice as steep. Here the steps near 0 count, and they do not keep the promise; and a network's guesses change less smoothly than the exact ones.⟩ And sprites in ten steps:

# %%
samples_dpm, _ = sample_dpm(32, n=10, seed=0, model=nn_model)
show_images(samples_dpm, nrow=4)

# %%
x, _ = sample_dpm(n_live, n=10, model=nn_model, seed=0, progress=False)
live["DPM-Solver++, 10 steps"] = live_fsd(x)
for name in ("DDIM, 10 steps", "DPM-Solver++, 10 steps", "DDIM, 25 steps"):
    print(f"{name:23} FSD {live[name]:.0f}")

# %% [markdown]
# ⟨CHECK: The same sprites as in section 4, from the same noise, in ten steps. By FSD, ten steps of DPM-Solver++ are between ten and twenty-five of DDIM, close to the latter.⟩ The stored frontier of section 6 says the same with error bars: ⟨NUM DPM 10⟩ against ⟨NUM DDIM 10⟩ and ⟨NUM DDIM 20⟩.
#
# *Closer to the path* and *better pictures* are not the same. The path itself ends at the flat part of the frontier, where the network's own error is. No solver gets below that.

# %% [markdown]
# ## 11 · What is left between ten steps and one
#
# **Why not one?** The rows are DPM-Solver++ in 10, 5, 3, 2 and 1 steps, from the same noise. (Its first step is DDIM's, so in one step both are the same.) Look at when the sprites stop being sprites.

# %%
few = {n: sample_dpm(n_live, n=n, model=nn_model, seed=0, progress=False)[0] for n in (3, 2, 1)}
few = {10: samples_dpm, 5: sample_dpm(8, n=5, model=nn_model, seed=0, progress=False)[0], **few}
show_images(torch.cat([x[:8] for x in few.values()]), nrow=5)

# %% [markdown]
# Five steps are nearly as good as ten. Three are softer, two leave some sprites a blur, and one gives a noisy grey blob. One step is the guess $\hat x_0$ at $t = 500$: by Lab 1, the *mean* of all sprites that fit, and to pure noise all of them fit. Is it that? Compare the average of 300 one-step samples with the mean of all 1,788 sprites.

# %%
mean_sprite = images.mean(dim=0)
for n in (1, 2, 3):
    average = few[n].mean(dim=0)
    likeness = torch.corrcoef(torch.stack([average.flatten(), mean_sprite.flatten()]))[0, 1]
    print(f"{n} steps: correlation with the mean sprite {likeness:.2f}; variety {few[n].std(dim=0).mean():.2f}")
print(f"real sprites: variety {images.std(dim=0).mean():.2f}")
show_images(torch.stack([few[1].mean(dim=0), mean_sprite]), nrow=1)

# %% [markdown]
# *Left: the average of 300 samples of one step. Right: the mean of the 1,788 sprites.* Nearly the same picture. A single sample has grain on top, because $\hat x_0$ divides by $\sqrt{\bar\alpha_{500}} = 0.08$ and shows every error of the prediction 12.5 times as large. The variety of one step is mostly this grain.
#
# A better network does not help: section 4 gave one step to the *perfect* denoiser, and the spread was 0.005 in place of 0.25. The mean is the right answer to the question that the network was trained on. To draw in one step, it must be trained on another question: not "which noise is in here", but "where does the path from here end". This is *distillation*, and the *consistency models* of the further reading.

# %% [markdown]
# ## Recap
#
# | question | answer | where |
# |:--|:--|:--|
# | Why can DDPM not skip levels? | its step leads to the neighbour; made larger, it puts in more noise than the level holds, and the Gaussian no longer fits | section 2 |
# | Why does the same network serve DDIM? | the loss depends on $q(x_t\mid x_0)$ only, and these are the same for every σ | section 3 |
# | What is a DDIM step? | guess the clean picture, noise it again to a lower level with the predicted noise | `denoise_ddim` |
# | What does η do? | it exchanges old noise for fresh; the total stays | sections 3, 7 |
# | How many steps are enough? | ⟨CHECK: 25 of DDIM or 10 of DPM-Solver++⟩; after that the network's error is all that is left | section 6 |
# | What does determinism buy? | each noise has its sprite: walks, and a way from a sprite to its noise | `slerp`, `encode` |
# | What does second order mean? | twice the steps, a quarter of the error, for the same passes | `denoise_dpm` |
#
# ## Quiz
#
# **1.** A friend trains a new network "for DDIM". What do you tell them?
# <details><summary>Answer</summary>That it is the same training. The loss takes one level at a time, and q(x_t | x_0) is the same for DDPM, DDIM and every η between. One network serves all samplers.</details>
#
# **2.** In equation (2), what happens if the root is $\sqrt{1-\bar\alpha_{\text{prev}}}$ although $\sigma > 0$?
# <details><summary>Answer</summary>The variances add up to 1-ᾱ_prev + σ²: there is more noise in the picture than the network is told. It leaves the rest in, and the sprites become grainy, as in section 2.</details>
#
# **3.** Sampler A has FSD 40 on 300 samples, sampler B has 12 on 1,788. Which is better?
# <details><summary>Answer</summary>One cannot tell. With 300 samples the floor itself is at about 32 (section 6). Compare with equal n, the floor beside it, and several seeds.</details>
#
# **4.** You average two noise pictures, decode the result, and get a dull sprite. Why, and what is the smallest repair?
# <details><summary>Answer</summary>The mean of two independent Gaussians has variance 1/2, so its length is 19.6 instead of 27.7. Multiply it by √2. This is what slerp does half-way, for noises at 90°.</details>
#
# **5.** Encoding in 5 steps and decoding in 5 does not give the sprite back, although DDIM has no randomness. Where is the error?
# <details><summary>Answer</summary>On the way up, each step uses the prediction at its lower end; on the way down, at its upper end. The two are equal only for small steps.</details>
#
# ## What comes next
#
# You have built every piece: the schedule, the sampler, the training, the context, and the fast samplers. The [README](../README.md#use-your-own-sprites) says how to use your own sprites, and the [model card](../weights/README.md) has every figure in full.
#
# ## Further reading
#
# - Song, Meng, Ermon 2020, [Denoising Diffusion Implicit Models](https://arxiv.org/abs/2010.02502): section 3 of this lab is its section 3; the equal losses are its theorem 1.
# - Lu et al. 2022, [DPM-Solver++](https://arxiv.org/abs/2211.01095): algorithm 2 is the solver of section 10.
# - Ho, Jain, Abbeel 2020, [DDPM](https://arxiv.org/abs/2006.11239), and Nichol and Dhariwal 2021, [Improved DDPM](https://arxiv.org/abs/2102.09672), which samples with fewer, larger steps as section 2 does.
# - Luo 2022, [Understanding Diffusion Models: A Unified Perspective](https://arxiv.org/abs/2208.11970): the bound behind the loss.
# - Heusel et al. 2017, [the Fréchet distance](https://arxiv.org/abs/1706.08500) that FSD is modelled on.
# - Towards one step: Salimans and Ho 2022, [Progressive Distillation](https://arxiv.org/abs/2202.00512); Song et al. 2023, [Consistency Models](https://arxiv.org/abs/2303.01469).
#
# The idea of teaching diffusion with a small U-Net on sprites, and of ending with DDIM, is that of DeepLearning.AI's course [How Diffusion Models Work](https://www.deeplearning.ai/short-courses/how-diffusion-models-work/); its network goes back to [minDiffusion](https://github.com/cloneofsimo/minDiffusion). Text, code, sprites and weights here are this course's own.

# %% [markdown]
# # PROPOSALS (not part of the lab; remove this cell)
#
# **1. `measure_frontier` for `weights/measure.py`.** The lab reads `metrics.json["evaluation"]["frontier"]`.
#
# ```python
# FRONTIER = {
#     "DDIM": (sample_ddim_context, (1, 2, 3, 5, 10, 20, 50, 100, 250)),
#     "DPM-Solver++": (sample_dpm_context, (2, 3, 5, 10, 20, 50)),
# }
#
#
# def measure_frontier(ruler: Ruler, bf16: bool) -> dict:
#     """Quality against steps: the FSD of the unconditional network by sampler and number of steps."""
#     model = load_pretrained("model_trained", ruler.images.device)
#     frontier = {}
#     for name, (sampler, counts) in FRONTIER.items():
#         frontier[name] = {}
#         for n in counts:
#             sets = [draw(sampler, len(ruler.images), seed, None, bf16, model=model, n=n) for seed in SEEDS]
#             frontier[name][str(n)] = ruler.fsd(sets)
#             print(name, n, frontier[name][str(n)], flush=True)
#     return {"frontier": frontier}
# ```
#
# In `make_weights.py`, after `figures = measure_unconditional(...)`, so that what is measured already is taken over:
#
# ```python
# figures |= measure_frontier(ruler, args.bf16)
# figures["frontier"]["DDPM"] = {"500": figures["quality"]["DDPM, 500 steps"]["fsd"]}
# figures["frontier"]["DDIM"]["25"] = figures["quality"]["DDIM, 25 steps"]["fsd"]  # and then sort by int
# ```
#
# If 25 is appended, sort: `dict(sorted(frontier["DDIM"].items(), key=lambda item: int(item[0])))`, because the lab draws the line in the order of the file (`record` sorts only the top level of the file, so the order inside is kept).
#
# Cost: 441 + 90 = 531 passes for each of 3 × 1,788 samples: at 1.4 ms a sprite and pass about 66 minutes in fp32, about half of it in bf16. Without the 250 steps it is half of that.
#
# Tests, in words: with a tiny network and a `Ruler` over 20 sprites, the keys are the samplers and the counts as words, every figure has a finite mean and std; DDIM's sampler is called with every n of the list and with the same seeds as in `measure_unconditional`; for n = 10 the figure of DPM-Solver++ equals that of `measure_unconditional` (same seeds, same draws). A test of the stored file: `frontier` has DDIM 1 … 250, its figure at 1 step is above that at 50, all are above the floor minus its spread. (An upper bound by pure noise would be wrong: in a trial on 300 pictures, one step had 2,137 and noise 978.)
#
# **2. `exact_denoiser(m, s, schedule=None)` in the module.** Labs 1 and 4 both define it, and `tests/test_oracle.py` has its own (which should stay, being independent). "What a lab has built is imported in the next": if it moves into the module, Lab 1 shows it with `inspect.getsource`, and the cell of section 4 here goes. Test in words: against a regression of ε on x_t over drawn pairs, for two (m, s) and three levels.
#
# **3. Tests of what the lab derives and no test has yet.** (a) Equation (6): `denoise_dpm` without `before` equals `denoise_ddim` at η = 0 for several (t, t_prev) (perhaps there already). (b) `encode` then `decode` with the exact denoiser: the error halves as n doubles. (c) The weight γ_t: the Kullback-Leibler divergence of two Gaussians by Monte Carlo.
#
# **4. Glossary:** DPM-Solver++ and DDIM are there; add *slerp* (`slerp`, Lab 4: interpolation along an arc, which keeps the length of noise), *encoding* (DDIM run backwards), *frontier* (quality against steps), *order of a solver* (second order: twice the steps, a quarter of the error), λ (half the logarithm of the signal-to-noise ratio).
