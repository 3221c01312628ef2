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
# # Lab 3 · Context
#
# The networks of Labs 1 and 2 draw whatever comes. In this lab you tell the network what to draw, measure whether it obeys, mix wishes that were never mixed in training, and make it obey more strictly than it was trained to.
#
# **After this lab you can**
#
# - say where a context enters the network, and what "no context" is;
# - train with contexts, and explain why some of them are hidden;
# - measure how well a context is followed, with a confusion matrix;
# - say what a mixed context means, and what it does not;
# - derive classifier-free guidance, use it, and name its price.
#
# **Time:** about 45 minutes of reading. Running every cell takes about ⟨NUM minutes⟩ minutes on two CPU cores; no GPU and no network are needed.
#
# **Before you start:** [Lab 1](../L1_Sampling/L1_Sampling.ipynb) and [Lab 2](../L2_Training/L2_Training.ipynb). From probability: Bayes' rule. From calculus: the gradient of a logarithm. New words are in the [glossary](../docs/GLOSSARY.md).

# %% [markdown]
# ## 1 · Set up
#
# As in Lab 1: find the course's folder, import its module, set its constants.

# %%
import inspect
import io
import json
import os
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
import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Code, Markdown, display
from PIL import Image

from diffusion_utilities import *

# %%
timesteps = 500  # T, the number of noise levels
beta1, beta2 = 1e-4, 0.02  # how much noise the first and the last step add
n_feat, n_cfeat, height = 64, 5, 16  # width of the network, length of a context vector, size of a sprite
save_dir = ROOT / "weights"
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")

# %%
schedule = linear_schedule(timesteps, beta1, beta2)
b_t, a_t, ab_t = schedule.b_t, schedule.a_t, schedule.ab_t
sprites, labels = load_sprites(ROOT / "data/sprites_1788_16x16.npy", ROOT / "data/sprite_labels_nc_1788_16x16.npy")
images, labels = sprite_tensors(sprites, labels, device)

# %% [markdown]
# Two helpers for this lab. The first shows pictures in rows, with a title for each row.

# %%
def show_rows(rows):
    """Pictures in rows; rows: title → pictures (n, 3, h, w), the same n for all."""
    n = len(next(iter(rows.values())))
    fig, axs = plt.subplots(len(rows), 1, figsize=(0.7 * n + 1.4, 0.76 * len(rows)), squeeze=False)
    for ax, (title, pictures) in zip(axs[:, 0], rows.items()):
        ax.imshow(to_unit(pictures.permute(1, 2, 0, 3).flatten(2)), interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_ylabel(title, rotation=0, ha="right", va="center")
    fig.tight_layout(pad=0.2)
    plt.show()


# %% [markdown]
# The second draws a row of sprites for each of several contexts. It uses DDIM, the sampler of Lab 4: 25 steps in place of 500, and no noise put back. So the start noise and the context decide everything. All rows begin with the *same* start noise, and whatever differs between them comes from the context.

# %%
def sample_rows(contexts, n_sample=8, seed=0, **options):
    """contexts: title → vector of length n_cfeat. Returns title → samples; every row has the same start noise."""
    rows = {}
    for title, vector in contexts.items():
        context = torch.as_tensor(vector, dtype=torch.float32).repeat(n_sample, 1)  # (n_sample, n_cfeat)
        rows[title], _ = sample_ddim_context(n_sample, context, n=25, seed=seed, progress=False, **options)
    return rows


# %% [markdown]
# ## 2 · What is a context?
#
# **How does one tell a network "food"?** Networks take numbers, so a context is a vector $c$ of five numbers, one for each class: hero, non-hero, food, spell, side-facing. Every sprite of the data set has such a vector as its label. Look for what the labels have in common.

# %% tags=["nbval-check-output"]
kinds_of_label, counts = labels.cpu().unique(dim=0, return_counts=True)
for vector, count in zip(kinds_of_label.flip(0), counts.flip(0)):
    print(vector.tolist(), f"{count:4d}", CLASS_NAMES[vector.argmax()])

# %% [markdown]
# There are five different labels, and each has a single 1: they are *one-hot*. No sprite is half food. Keep this in mind for section 6.
#
# The numbers are floats, though nothing but 0 and 1 occurs in the data. With integers, a wish such as 0.6 would be cut to 0 without a word.
#
# **Where does the context enter the network?** In a few lines of `ContextUnet.forward`:

# %%
lines = inspect.getsource(ContextUnet.forward).splitlines()
Code("\n".join(line.strip() for line in lines if "emb" in line), language="python")

# %% [markdown]
# `contextembed1` and `contextembed2` are two small networks (a linear layer, GELU, a linear layer). Each turns the five numbers into one number for every channel of the maps that come next. The last two lines are the place to look at:
#
# $$\text{map} \;\leftarrow\; \underbrace{\text{cemb}}_{\text{gain}} \cdot\, \text{map} \;+\; \underbrace{\text{temb}}_{\text{shift}}$$
#
# The context **multiplies**: it turns each channel up, down or over. The noise level **adds**: it shifts each channel. Both do so in the same way at every pixel. The context cannot say "a red spot at the top left"; it can say "more of what channel 17 stands for". Where it goes is up to the picture's own maps.
#
# That one multiplies and the other adds is a choice, and not a law. In the literature a condition often does both, scale and shift ([FiLM](https://arxiv.org/abs/1709.07871)).
#
# **And no context?** That is five zeros. **Predict first:** does the network then multiply its maps by 0?

# %% tags=["nbval-check-output"]
context_model = load_pretrained("context_model_trained", device)
choices = torch.cat([torch.eye(n_cfeat), torch.zeros(1, n_cfeat)]).to(device)  # five classes, then none
with torch.no_grad():
    gains = context_model.contextembed2(choices).cpu()  # (6, 64)
for name, row in zip([*CLASS_NAMES, "none"], gains):
    size, change = row.abs().mean(), (row - gains[-1]).abs().mean()
    print(f"{name:12} mean size of a gain {size:.2f}, mean change against none {change:.2f}")

# %% [markdown]
# No. The linear layers have biases, so five zeros give gains like any other vector; they are the gains that training found good for "anything". The picture below shows them all: one column for each of the 64 channels, one row for each context. The columns are sorted by their gain without context. Look for columns in which a row breaks out.

# %%
order = gains[-1].argsort()
limit = gains.abs().quantile(0.99)
fig, ax = plt.subplots(figsize=(9, 2.2), layout="constrained")
heat = ax.imshow(gains[:, order], cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
ax.set_yticks(range(6), [*CLASS_NAMES, "none"])
ax.set_xlabel("channel before up2, sorted by its gain without context")
fig.colorbar(heat, label="gain")
plt.show()

# %% [markdown]
# *Caption: what each context multiplies the 64 channels by.* ⟨CHECK: The rows resemble each other, because all sprites share most of what a sprite is. In some columns one class has a much larger gain, or the opposite sign: these channels stand for what is special about it.⟩

# %% [markdown]
# ## 3 · Training with context
#
# **What must change in the training of Lab 2?** Little. Each sprite comes with its label, so hand the label to the network:
#
# $$L = \mathrm E\,\big\|\,\varepsilon - \varepsilon_\theta(x_t,\, t,\, c)\,\big\|^2, \qquad (x_0, c) \text{ a sprite and its label.}$$
#
# *Why does this teach it to obey?* Nothing in the loss asks for obedience. But a squared error is smallest for the mean of the noises that are possible, given all that the network is told (Lab 2). Told only $x_t$, that is $\mathrm E[\varepsilon\mid x_t]$, the mean over all sprites that fit. Told also that it is food, it is $\mathrm E[\varepsilon \mid x_t, c]$, the mean over all *food* that fits. The error gets smaller by using $c$, so the network learns to use it.
#
# **Why hide some contexts?** The network should also be able to draw without a wish. If $c$ were always given, the network would never see five zeros, and what it says for them would be left to chance. So in one training picture of ten the whole vector is replaced by zeros. This is the *mask*. It makes one network learn two things: $\varepsilon_\theta(x_t,t,c)$ for sprites of a class, and $\varepsilon_\theta(x_t,t,0)$ for sprites of any class. Section 7 needs both.
#
# **Why 10 %?** It is a division of labour. With 50 % hidden, half of the training would not practise contexts; with 0.1 %, "no context" would hardly be practised at all. As nearly all that must be learned is the same for both, a small share is enough. Ho and Salimans [tried](https://arxiv.org/abs/2207.12598) 10, 20 and 50 %: the first two were about equally good, 50 % was worse.
#
# The step, in full. Compare it with that of Lab 2: `c`, `shown` and the third argument of the network are all that is new.

# %%
def train_step(x, c, generator):
    """One step on pictures x (n, 3, 16, 16) with contexts c (n, 5); its mean squared error."""
    t = torch.randint(1, timesteps + 1, (len(x),), generator=generator).to(device)
    noise = torch.randn(x.shape, generator=generator).to(device)
    shown = (torch.rand(len(x), 1, generator=generator) >= 0.1).to(c)  # 0 in one row of ten, else 1
    pred_noise = nn_model(perturb_input(x, t, noise), t / timesteps, c * shown)
    error = (pred_noise - noise).square().mean(dim=(1, 2, 3))  # (n,)
    weight = (1 / ab_t.to(device)[t]).clamp(max=5)
    optimizer.zero_grad()
    (weight * error).mean().backward()
    optimizer.step()
    return error.mean().item()


# %% [markdown]
# <!-- exercise: write the mask: given c (n, 5), p and a generator, hide whole rows with probability p. Classic bugs: single entries hidden in place of rows; p and 1 - p swapped; one draw for the whole batch. -->
# The weight is that of the shipped networks ([model card](../weights/README.md)): errors at high noise count more, up to five times. They are small as numbers, but there it is decided what will be drawn, and there the context counts.
#
# Now a short real run. It starts from `model_trained`, the network without contexts, and goes on with contexts for 120 steps. Nothing is saved; the files in `weights/` stay as they are.
#
# One thing about the start: in all its training that network was fed five zeros. A linear layer's weights get their gradient multiplied by its input, so the weights of the first context layer have had a gradient of exactly 0 and are still about as random as on the first day. They need to move far, and everything else hardly at all. Hence two learning rates.

# %%
nn_model = load_pretrained("model_trained", device)
new_part = [*nn_model.contextembed1.parameters(), *nn_model.contextembed2.parameters()]
old_part = [p for name, p in nn_model.named_parameters() if not name.startswith("contextembed")]
optimizer = torch.optim.AdamW([{"params": new_part, "lr": 1e-2}, {"params": old_part, "lr": 5e-4}])

# %% [markdown]
# **How can one see in a minute whether contexts begin to act?** Not from the loss: how much noise a batch got changes it far more than the contexts do. A sharper test gives the *same* noisy sprites to the network three times, with their right context, with a wrong one, and with none, and compares the errors.

# %%
x_test, c_test = images[::19], labels[::19]  # 95 sprites of all classes
test_levels = (50, 150, 250, 350, 450)


def test_errors(model, context):
    """Mean squared error of the predicted noise at each test level; the noise is always the same."""
    errors, generator = [], torch.Generator().manual_seed(3)
    for t in test_levels:
        noise = torch.randn(x_test.shape, generator=generator).to(device)
        with torch.no_grad(), evaluating(model):
            pred_noise = model(perturb_input(x_test, t, noise), t / timesteps, context)
        errors.append((pred_noise - noise).square().mean().item())
    return np.array(errors)


# %%
def worth_of_context(model):
    """Change of the error in per cent, against no context, through the right context and through a wrong one."""
    none = test_errors(model, None)
    wrong = c_test.roll(1, dims=1)  # each sprite gets the class after its own
    return {
        "right": 100 * (test_errors(model, c_test) / none - 1),
        "wrong": 100 * (test_errors(model, wrong) / none - 1),
    }


worth = {"before": worth_of_context(nn_model)}

# %% [markdown]
# The run: 120 batches of 64 sprites, about half a minute on two CPU cores.

# %%
generator = torch.Generator().manual_seed(0)
batches = sprite_batches(images, labels, 64, generator)
nn_model.train()
losses = [train_step(*next(batches), generator) for _ in range(120)]
nn_model.eval()
worth["after 120 steps"] = worth_of_context(nn_model)
worth["stored context model"] = worth_of_context(context_model)

# %% [markdown]
# First the loss. Look at the scatter of the single steps before you look at the trend.

# %%
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
ax.plot(losses, ".", color="#56B4E9", label="one step")
means = np.array(losses).reshape(-1, 20).mean(axis=1)
ax.plot(np.arange(10, 120, 20), means, "-o", color="#D55E00", label="mean of 20 steps")
ax.set(xlabel="step", ylabel="mean squared error", ylim=(0, None))
ax.legend()
plt.show()

# %% [markdown]
# *Caption: the error of each training step.* ⟨CHECK: The means hardly fall: from ⟨NUM⟩ to ⟨NUM⟩. This is no wonder, as the network could draw before.⟩ Now the test with right and wrong contexts. **Predict first:** at which noise levels should it help most to be told the class?

# %%
fig, axs = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained", sharey=True)
for ax, (title, change) in zip(axs, worth.items()):
    ax.plot(test_levels, change["right"], "-o", color="#0072B2", label="right context")
    ax.plot(test_levels, change["wrong"], "--s", color="#D55E00", label="wrong context")
    ax.axhline(0, color="#777777", linewidth=1)
    ax.set(title=title, xlabel="noise level t")
axs[0].set_ylabel("change of the error, %")
axs[0].legend()
plt.show()

# %% [markdown]
# *Caption: how a context changes the error of the predicted noise, against no context; below zero is better.* ⟨CHECK: Before the run, both contexts do the same harm: the random layer disturbs the network, and right or wrong makes no difference. After 120 steps the curves have parted: the wrong context costs more than the right one. In the stored model the gap is wide.⟩ ⟨CHECK: The context is worth nothing at low noise, where everyone can see what the sprite is, and most at high noise, where the sprite cannot be seen.⟩ So what kind of thing is drawn is decided early on the way out of the noise.
#
# Look at some pictures of the network that you have trained. The columns share their start noise.

# %%
one_hot = dict(zip(CLASS_NAMES, torch.eye(n_cfeat).tolist()))
show_rows(sample_rows(one_hot, seed=1, model=nn_model))

# %% [markdown]
# ⟨CHECK: Within a column the rows differ only a little, but they do differ: the context has begun to act, and is far from being obeyed.⟩ The stored network was trained in the same way, with another optimiser and for about 45 times as many steps ([model card](../weights/README.md)).

# %% [markdown]
# ## 4 · One kind at a time
#
# Now the stored network `context_model_trained`. The rows below ask for one class each, from the same start noise as above. Look down a column: what stays the same when only the context changes?

# %%
show_rows(sample_rows(one_hot, seed=1, model=context_model))

# %% [markdown]
# ⟨CHECK: Each row has its kind: people facing you, creatures, food, items, people in profile. Down a column, the colours and the masses often stay in their places: start noise that gives a red hero tends to give red food.⟩ ⟨CHECK: Some do not fit their row.⟩
#
# `sample_ddpm_context` is the sampler of Lab 1 with a context: 500 steps, with noise put back. Here it draws two of each of four classes, given as a tensor with one row for each sprite. (The seed is only there so that you see what is described below. Without it, each run gives other sprites.)

# %%
torch.manual_seed(3);

# %%
import torch
from diffusion_utilities import show_images, sample_ddpm_context

# Define the context tensor
ctx = torch.tensor([
    # hero, non-hero, food, spell, side-facing
    [1, 0, 0, 0, 0],
    [1, 0, 0, 0, 0],
    [0, 0, 0, 0, 1],
    [0, 0, 0, 0, 1],
    [0, 1, 0, 0, 0],
    [0, 1, 0, 0, 0],
    [0, 0, 1, 0, 0],
    [0, 0, 1, 0, 0],
]).float().to(device)  # fmt: skip

# %%
# Generate images with the specified context
samples, _ = sample_ddpm_context(ctx.shape[0], ctx)

# Display the generated images
show_images(samples)

# %% [markdown]
# In the order of the tensor, row by row: ⟨CHECK: hero, hero, side-facing, side-facing; non-hero, non-hero, food, food. All eight can be recognised.⟩ Two sprites with the same context are still different sprites: the context gives the kind, the noise the rest.

# %% [markdown]
# ## 5 · Does it do as asked?
#
# **Looking is not measuring.** A judge is needed that is not the network itself: the classifier of the course, a small network that was trained only to name classes. On sprites it had not seen it was right every time ([model card](../weights/README.md)). Draw 40 sprites of each class and let it name them.

# %%
classifier = load_classifier(device)


def recognise(x):
    """The classifier's probabilities of the classes (n, 5) for pictures (n, 3, 16, 16), as they are shown."""
    with torch.no_grad():
        return classifier(x.clamp(-1, 1))[0].softmax(dim=1)


ctx = torch.eye(n_cfeat, device=device).repeat(40, 1)  # (200, 5)
samples, _ = sample_ddim_context(200, ctx, n=25, model=context_model, seed=4, progress=False)

# %% [markdown]
# A *confusion matrix* counts for each class asked for (row) what was recognised (column). On its diagonal are the sprites that came as ordered. Look for the largest number off the diagonal: which classes are mistaken for each other?

# %%
asked, recognised = ctx.argmax(dim=1), recognise(samples).argmax(dim=1)
confusion = torch.bincount(n_cfeat * asked + recognised, minlength=n_cfeat**2).reshape(n_cfeat, n_cfeat).cpu()
fig, ax = plt.subplots(figsize=(5, 4), layout="constrained")
heat = ax.imshow(confusion, cmap="Blues", vmin=0, vmax=40)
for row in range(n_cfeat):
    for column in range(n_cfeat):
        colour = "white" if confusion[row, column] > 20 else "black"
        ax.text(column, row, int(confusion[row, column]), ha="center", va="center", color=colour)
ax.set_xticks(range(n_cfeat), CLASS_NAMES, rotation=30, ha="right")
ax.set_yticks(range(n_cfeat), CLASS_NAMES)
ax.set(xlabel="recognised", ylabel="asked for")
fig.colorbar(heat, label="sprites")
plt.show()

# %% [markdown]
# *Caption: 200 sprites, 40 of each class asked for, and what the classifier took them for.*

# %% tags=["nbval-check-output"]
print(f"{confusion.diag().sum() / 200:.0%} of the sprites were recognised as what was asked for (chance: 20 %)")

# %% [markdown]
# ⟨CHECK: Most of the mistakes are ⟨NUM⟩ asked for and ⟨NUM⟩ recognised: the two kinds that look most alike.⟩ Forty sprites are few: a true share of 80 % can easily show as 72 or 88 %. The stored figures are of three runs with 1,788 sprites each, and come with their spread over the three.

# %%
metrics = json.loads((ROOT / "weights/metrics.json").read_text())
accuracy = metrics["evaluation"]["context_accuracy"]
quality = metrics["evaluation"]["context_quality"]

lines = ["| asked for | here, of 40 | stored, w = 1 |", "|:--|--:|--:|"]
for name, right in zip(CLASS_NAMES, confusion.diag()):
    stored = accuracy["w = 1"][name]
    lines.append(f"| {name} | {right / 40:.0%} | {stored['mean']:.1%} ± {stored['std']:.1%} |")
Markdown("\n".join(lines))

# %% [markdown]
# ⟨CHECK: Both columns agree within what forty sprites can tell. The weakest class is ⟨NUM⟩.⟩
#
# *What does such a number not say?* The classifier must name one of five classes. It has no word for "none of these". A blot that looks a little more like food than like a hero is counted as food. Accuracy measures obedience, and not beauty.

# %% [markdown]
# ## 6 · Mixed contexts
#
# A context is a vector of floats, so nothing stops you from asking for a hero with a bit of food, `[1, 0, 0.6, 0, 0]`. **Predict first:** what will come out: (a) sometimes a hero, sometimes food; (b) half a hero and half food in one picture; (c) a hero holding food; or (d) something else?

# %%
torch.manual_seed(4);

# %%
# Define context (human=1, food=0.6)
ctx = torch.tensor([[1,0,0.6,0,0]]).float()  # fmt: skip

# Generate with context
samples, _ = sample_ddpm_context(1, ctx)

# %%
show_images(samples, nrow=1)

# %% [markdown]
# ⟨CHECK: what this one sprite looks like.⟩ And six different wishes, again with 500 steps:

# %%
import torch
from diffusion_utilities import show_images, sample_ddpm_context

# Define the context tensor
ctx = torch.tensor([
    # hero, non-hero, food, spell, side-facing
    [1, 0, 0, 0, 0],      # human
    [1, 0, 0.6, 0, 0],
    [0, 0, 0.6, 0.4, 0],
    [1, 0, 0, 0, 1],
    [1, 1, 0, 0, 0],
    [1, 0, 0, 1, 0]
]).float().to(device)  # fmt: skip

# %%
# Generate images with the specified context
samples, _ = sample_ddpm_context(ctx.shape[0], ctx)

# Display the generated images
show_images(samples)

# %% [markdown]
# ⟨CHECK: say what the six look like.⟩ One sprite of each says little. So draw 24 of each of these contexts, and print what the classifier takes them for on average. Each row adds up to 1.

# %% tags=["nbval-check-output"]
mixtures = {" ".join(f"{value:g}" for value in row): row for row in ctx.cpu().numpy()}
mixed = sample_rows(mixtures, n_sample=24, seed=5, model=context_model)
print(" " * 13, *(f"{name:>11}" for name in CLASS_NAMES))
for title, x in mixed.items():
    print(f"{title:13}", *(f"{p:11.1f}" for p in recognise(x).mean(dim=0)))

# %%
show_rows({title: x[:8] for title, x in mixed.items()})

# %% [markdown]
# ⟨CHECK: the mixtures with a full 1 are mostly drawn as one of their classes; `[1, 0, 0, 0, 1]` gives people, as its two classes are both people; `[1, 0, 0, 1, 0]` …⟩
#
# **What does a mixture mean?** Be strict: nothing, until someone defines it. The labels were one-hot. In training the network saw six vectors, the five classes and the zeros, and the loss says nothing about any other. What comes out for a mixture is *extrapolation*: the embedding network is a smooth function, it does return gains, and the U-Net does draw something with them. Three things that one might hope for:
#
# | hope | what it would need |
# |:--|:--|
# | *either, or*: 60 % of the sprites are food | a loss that asks for it. The exact noise prediction of such a mixture is $\sum_k P(k \mid x_t)\,\varepsilon_\theta(x_t, t, c_k)$: the shares change with $x_t$ on the way, and no fixed vector can say this |
# | *both in one*: a hero with a burger | training pictures that show both, and labels that say so |
# | *in between*: half hero, half food, in shape | sprites in between, of which there are none |
#
# So measure what the network does. The walk below goes from $[1,0,0,0,0]$ to $[0,0,1,0,0]$ in eight equal steps, each time from the same 24 start noises. **Predict first:** will the sprites change a little at each step, or all at once?

# %%
shares = np.linspace(0, 1, 9)  # of food
walk_contexts = {f"{share:.3f}": [1 - share, 0, share, 0, 0] for share in shares}
walked = sample_rows(walk_contexts, n_sample=24, seed=6, model=context_model)
walk = torch.stack([*walked.values()])  # (9, 24, 3, 16, 16)
show_rows({f"noise {i}": walk[:, i] for i in range(6)})

# %% [markdown]
# *Caption: from hero (left) to food (right); each row keeps its start noise.* ⟨CHECK: Most rows stay a hero for a few steps, then turn into food within one or two steps; in between are sprites that are neither.⟩
#
# Now in numbers: the probability of *food* for each of the 24 walks and their mean, and how far each sprite is from the nearest of the 1,788 real ones. If sprites in between were as real as those at the ends, the second curve would be flat.

# %%
p_walk = torch.stack([recognise(x) for x in walk]).cpu()  # (9, 24, 5)
distance = torch.stack([nearest_sprite(x.clamp(-1, 1), images)[0] for x in walk]).cpu()  # (9, 24)
fig, axs = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
axs[0].plot(shares, p_walk[:, :, 2], color="#999999", linewidth=0.6)
for k, style, colour in ((0, "-o", "#0072B2"), (2, "--s", "#D55E00")):
    axs[0].plot(shares, p_walk[:, :, k].mean(dim=1), style, color=colour, label=CLASS_NAMES[k])
axs[0].plot(shares, p_walk[:, :, [1, 3, 4]].sum(dim=2).mean(dim=1), ":^", color="#009E73", label="any other")
axs[0].set(xlabel="share of food in the context", ylabel="probability by the classifier")
axs[0].legend()
axs[1].errorbar(shares, distance.mean(dim=1), distance.std(dim=1) / 24**0.5, fmt="-o", color="#0072B2", capsize=3)
axs[1].set(xlabel="share of food in the context", ylabel="distance to nearest real sprite")
plt.show()

# %% [markdown]
# *Caption. Left: what the classifier sees along the walk, as a mean over 24 start noises; grey: food, for each noise alone. Right: distance to the nearest real sprite, with the standard error over the 24.*

# %% tags=["nbval-check-output"]
for share, p in zip(shares[::2], p_walk[::2]):
    undecided = (p.amax(dim=1) < 0.9).float().mean()
    print(f"food {share:.2f}: hero {p[:, 0].mean():.1f}, food {p[:, 2].mean():.1f}, undecided {undecided:.1f}")

# %% [markdown]
# ⟨CHECK: The single grey curves are steep: a sprite is taken for a hero, or for food, and seldom for both. Each start noise switches at its own place, and this alone makes the mean look smooth. In the middle, ⟨NUM⟩ of the sprites are "any other" or undecided, and their distance to real sprites is ⟨NUM larger/about equal⟩.⟩ So the answer to the prediction above is ⟨CHECK: (d), with some of (a)⟩: the number 0.6 is no share, no dose and no probability. It is a place between two places that the network knows.
#
# *Then why does mixing often work in large text-to-picture models?* Their contexts are not one-hot. They are vectors from a text network, millions of different ones, and many training pictures do show two things at once. A mixture there lies near something that has been seen. (One can also mix *predictions* instead of contexts, which has a meaning: adding noise predictions multiplies distributions. [Liu et al. 2022](https://arxiv.org/abs/2206.01714), and the next section.)
# <!-- exercise: "either, or" done right: a model(x, t, c) that answers with Σ_k P(k|x_t) ε(x_t, t, c_k) for two classes; measure the shares of both with the classifier. -->

# %% [markdown]
# ## 7 · Guidance
#
# **Can the network be made to obey more strictly, without training it again?** Yes, because it knows two things: what the noise looks like *with* the context, and *without*. The difference of the two is what the context changes. Exaggerate it. Why this is right, and how far, takes four steps.
#
# **1. Predicting noise is predicting a gradient.** By equation (2) of Lab 1, $x_t$ given $x_0$ is a Gaussian of mean $\sqrt{\bar\alpha_t}\,x_0$ and variance $1-\bar\alpha_t$. The gradient of its logarithm with respect to $x_t$ is
#
# $$\nabla \log q(x_t\mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1-\bar\alpha_t} = -\frac{\varepsilon}{\sqrt{1-\bar\alpha_t}}.$$
#
# For noisy pictures in general, $p(x_t) = \int q(x_t\mid x_0)\,p(x_0)\,dx_0$. Take the gradient under the integral, use $\nabla q = q\,\nabla\log q$, and divide by $p(x_t)$. As $q(x_t\mid x_0)\,p(x_0)/p(x_t)$ is the probability of $x_0$ given $x_t$,
#
# $$\nabla\log p(x_t) = \mathrm E\big[\nabla\log q(x_t\mid x_0)\,\big|\,x_t\big] = -\frac{\mathrm E[\varepsilon\mid x_t]}{\sqrt{1-\bar\alpha_t}}.$$
#
# The mean on the right is what squared error teaches. So a well-trained network gives
#
# $$\varepsilon_\theta(x_t,t) = -\sqrt{1-\bar\alpha_t}\;\nabla\log p(x_t), \qquad \varepsilon_\theta(x_t,t,c) = -\sqrt{1-\bar\alpha_t}\;\nabla\log p(x_t\mid c). \tag{1}$$
#
# The gradient $\nabla\log p$ is called the *score*. It points to where pictures are more probable, and the predicted noise points the other way.
#
# **2. Bayes' rule** says $p(x_t\mid c) = p(x_t)\,p(c\mid x_t)\,/\,p(c)$. Take logarithms and gradients; $p(c)$ does not depend on $x_t$ and drops out:
#
# $$\nabla\log p(x_t\mid c) = \nabla\log p(x_t) + \nabla\log p(c\mid x_t). \tag{2}$$
#
# To draw food is to draw anything, and on the way also to climb to where a classifier, $p(c\mid x_t)$, is more sure that it is food.
#
# **3. Sharpen.** Give the classifier more weight, by raising it to a power $w$:
#
# $$p_w(x_t\mid c) \;\propto\; p(x_t)\;p(c\mid x_t)^{\,w} \quad\Rightarrow\quad \nabla\log p_w(x_t\mid c) = \nabla\log p(x_t) + w\,\nabla\log p(c\mid x_t).$$
#
# **4. No classifier is needed.** By (2), its gradient is the difference of two scores, and these we have:
#
# $$\nabla\log p_w(x_t\mid c) = \nabla\log p(x_t) + w\,\big(\nabla\log p(x_t\mid c) - \nabla\log p(x_t)\big).$$
#
# Multiply by $-\sqrt{1-\bar\alpha_t}$ and use (1):
#
# $$\boxed{\;\varepsilon_w = \varepsilon_\theta(x_t,t) + w\,\big(\varepsilon_\theta(x_t,t,c) - \varepsilon_\theta(x_t,t)\big)\;} \tag{3}$$
#
# This is *classifier-free guidance*. The samplers put $\varepsilon_w$ in the place of the predicted noise, and nothing else changes. In the module it is one line:

# %%
Code(inspect.getsource(guided_noise), language="python")

# %% [markdown]
# - $w = 0$: the context drops out. The network draws anything.
# - $w = 1$: the prediction without context drops out. This is the plain conditional network of sections 4 to 6.
# - $w > 1$: the context is exaggerated. Between 0 and 1 it is played down.
#
# (In the paper, and in some libraries, plain conditional sampling is called $w = 0$. Their $w$ is ours minus 1.)
#
# *What has the mask to do with it?* Equation (3) needs $\varepsilon_\theta(x_t,t)$ from the same network. Without the hidden contexts of section 3, the network would have no idea of it.
#
# *What does it cost?* Each step needs two passes through the network, with the context and without. For $w = 0$ and $w = 1$ one of them has the factor 0, and the samplers leave it out.

# %%
ctx = torch.eye(n_cfeat).repeat(6, 1)  # (30, 5)
for w in (1, 2):
    start = time.perf_counter()
    sample_ddim_context(30, ctx, n=10, guidance=w, model=context_model, seed=0, progress=False)
    print(f"w = {w}: {time.perf_counter() - start:.2f} s for 30 sprites in 10 steps")

# %% [markdown]
# ### A case that can be computed
#
# Is the derivation right? Is it the whole truth? Test it, as in Lab 1, where a *perfect* network is known. Let the data be plain numbers of two classes, $c = +1$ and $c = -1$, equally frequent, each a bell of width $s$ around $\pm m$. Noised to level $t$, the bells are around $\pm\sqrt{\bar\alpha_t}\,m$ with variance $v = \bar\alpha_t s^2 + 1 - \bar\alpha_t$. With the class known, the best prediction is that of Lab 1. Without, the two are averaged with their probabilities given $x_t$, and these give a tanh:
#
# $$\varepsilon^*(x_t, t, c) = \frac{\sqrt{1-\bar\alpha_t}}{v}\,\big(x_t - \sqrt{\bar\alpha_t}\,m\,c\big), \qquad \varepsilon^*(x_t, t) = \frac{\sqrt{1-\bar\alpha_t}}{v}\,\Big(x_t - \sqrt{\bar\alpha_t}\,m\,\tanh\frac{\sqrt{\bar\alpha_t}\,m\,x_t}{v}\Big).$$

# %%
m, s = 1.0, 0.7


def two_bells(x, t, c=None):
    """The best possible noise prediction for numbers of two classes, as a model(x, t, c); c is (n, 1), +1 or -1."""
    ab = ab_t[round(float(t) * timesteps)]
    v = ab * s**2 + 1 - ab
    sign = torch.tanh(ab.sqrt() * m * x / v) if c is None else c[:, :, None, None]
    return (1 - ab).sqrt() * (x - ab.sqrt() * m * sign) / v


# %% [markdown]
# First equation (1). At $t = 200$ the density is known, so let PyTorch differentiate its logarithm, and compare.

# %% tags=["nbval-check-output"]
ab = ab_t[200]
v = ab * s**2 + 1 - ab
x = torch.linspace(-2, 2, 5, requires_grad=True)
log_p = torch.logaddexp(-((x - ab.sqrt() * m) ** 2) / (2 * v), -((x + ab.sqrt() * m) ** 2) / (2 * v))
score = torch.autograd.grad(log_p.sum(), x)[0]
print("from the gradient:", [round(value, 3) + 0.0 for value in (-(1 - ab).sqrt() * score).tolist()])
print("the prediction:   ", [round(value, 3) + 0.0 for value in two_bells(x, 200 / timesteps).tolist()])

# %% [markdown]
# They agree. Now sample class $+1$ with this perfect network at several $w$, and draw beside it what step 3 promises, the sharpened density $p(x)\,p(c\mid x)^w$. **Predict first:** will they agree for $w = 3$, as they must for $w = 1$?

# %%
grid = torch.linspace(-4, 5, 901)
log_bell = {c: -((grid - c * m) ** 2) / (2 * s**2) for c in (1, -1)}
log_p = torch.logaddexp(log_bell[1], log_bell[-1])  # both classes, up to a constant
bells, promised = {}, {}
for w in (0, 1, 3, 6):
    bells[w], _ = sample_ddim_context(32, torch.ones(32, 1), n=100, guidance=w, seed=0, model=two_bells, progress=False)
    density = (log_p + w * (log_bell[1] - log_p)).exp()
    promised[w] = density / torch.trapezoid(density, grid)

# %%
fig, axs = plt.subplots(1, 4, figsize=(10, 2.6), layout="constrained", sharex=True, sharey=True)
for ax, w in zip(axs, bells):
    ax.hist(bells[w].flatten().numpy(), bins=np.linspace(-3, 5, 81), density=True, color="#56B4E9", label="samples")
    ax.plot(grid, promised[w], "--", color="#D55E00", label="promised")
    ax.set(title=f"w = {w}", xlabel="value")
axs[0].set_ylabel("density")
axs[0].legend()
plt.show()

# %% tags=["nbval-check-output"]
for w, x in bells.items():
    mean = torch.trapezoid(grid * promised[w], grid)
    spread = torch.trapezoid((grid - mean) ** 2 * promised[w], grid).sqrt()
    print(f"w = {w}: mean {x.mean():.2f}, spread {x.std():.2f}; promised: mean {mean:.2f}, spread {spread:.2f}")

# %% [markdown]
# *Caption: 24,576 numbers sampled with a perfect network for class +1, and the sharpened density.* At $w = 0$ both bells come, at $w = 1$ the asked one. At $w = 3$ the samples lie farther out than promised and are narrower: around 1.63 with a spread of 0.42, in place of 1.18 and 0.59. At $w = 6$ about half of them lie beyond 95 % of the data of their class.
#
# The network is perfect, so the rule is to blame. Step 3 sharpens the distribution at each noise level by itself. But these sharpened distributions are not the noised versions of one sharpened data set: to sharpen and then to noise is not the same as to noise and then to sharpen. A reverse walk through them does not end where step 3 would have it. ([Bradley and Nakkiran 2024](https://arxiv.org/abs/2408.09000) say what it does instead.) Guidance is a good recipe, and not an exact sampler. The picture shows its three effects, and they return with sprites: **more obedience, less variety, and values beyond the data**.
# <!-- exercise: write guided_noise. Classic bugs: w counted as in the paper (shifted by 1); the two predictions swapped; ε_c + w (ε_c - ε_∅). -->

# %% [markdown]
# ### The sweep
#
# Sprites from the same start noise at five values of $w$; two of each class, in the order hero, non-hero, food, spell, side-facing. **Predict first:** $w = 6$ obeys best. What will its price look like?

# %%
ctx = torch.eye(n_cfeat, device=device).repeat(12, 1)  # (60, 5): twelve of each class
swept = {
    w: sample_ddim_context(60, ctx, n=25, guidance=w, seed=7, model=context_model, progress=False)[0]
    for w in (0, 1, 2, 3, 6)
}
show_rows({f"w = {w}": x[:10] for w, x in swept.items()})

# %% [markdown]
# ⟨CHECK: $w = 0$ ignores the order. From $w = 1$ on the classes can be recognised; at 2 and 3 they are clearer. At 6 the colours are glaring, the outlines thick, and sprites of a class begin to look alike.⟩
#
# Three numbers for each $w$: the share recognised; *variety*, the mean distance between two sprites asked for with the same class; and *overshoot*, the share of values outside of what a picture can show. Real sprites, twelve of each class, for comparison.

# %%
def variety(x, c):
    """Mean distance, root mean square, between two pictures of x (n, 3, h, w) with the same one-hot context."""
    x = x.clamp(-1, 1).flatten(1)
    pairs = [torch.pdist(x[c[:, k] == 1]).mean() for k in range(n_cfeat)]
    return torch.stack(pairs).mean() / x.shape[1] ** 0.5


real = torch.stack([images[labels[:, k] == 1][:12] for k in range(n_cfeat)], dim=1).flatten(0, 1)  # in the order of ctx

# %% tags=["nbval-check-output"]
sweep = []
for name, x in {**{f"w = {w}": x for w, x in swept.items()}, "real": real}.items():
    right = (recognise(x).argmax(dim=1) == ctx.argmax(dim=1)).float().mean()
    overshoot = (x.abs() > 1.05).float().mean()
    sweep.append([right.item(), variety(x, ctx).item()])
    print(f"{name:6} recognised {right:4.0%}   variety {sweep[-1][1]:.2f}   overshoot {overshoot:4.0%}")

# %%
weights, values = list(swept), np.array(sweep)
fig, axs = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
for i, (ax, name) in enumerate(zip(axs, ("share recognised", "variety within a class"))):
    ax.plot(weights, values[:-1, i], "-o", color="#0072B2", label="samples")
    ax.axhline(values[-1, i], color="#D55E00", linestyle="--", label="real sprites")
    ax.set(xlabel="guidance w", ylabel=name, ylim=(0, None))
axs[1].legend()
plt.show()

# %% [markdown]
# *Caption: 60 sprites at each w, from the same start noise. At w = 0 "a class" is only what was asked for, so its variety is that of all sprites.* ⟨CHECK: Obedience rises from ⟨NUM⟩ at w = 1 to ⟨NUM⟩ at w = 3, and variety falls from ⟨NUM⟩ to ⟨NUM⟩. The overshoot grows to ⟨NUM⟩ at w = 6: values beyond what can be shown are clipped, which makes the colours glaring.⟩
#
# The stored figures are of 1,788 sprites with three seeds each. Left: share recognised, class by class. Middle: *precision*, the share of samples that look like real sprites, and *recall*, the share of real sprites that the samples come close to. Right: the Fréchet sprite distance to fresh sprites; small is good. **Predict first:** precision rewards pictures that look right, recall rewards variety. Which of them will fall as $w$ grows?

# %%
stored_w = [int(key.split()[-1]) for key in accuracy]
looks = (("#0072B2", "-o"), ("#D55E00", "--s"), ("#009E73", "-.^"), ("#CC79A7", ":D"), ("#56B4E9", "-v"))


def error_bars(ax, figures, style, colour, label=None):
    """Mean and standard deviation over three seeds, one point for each stored w."""
    means, stds = ([figure[key] for figure in figures] for key in ("mean", "std"))
    ax.errorbar(stored_w, means, stds, fmt=style, color=colour, capsize=3, label=label)


# %%
fig, axs = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for name, (colour, style) in zip(CLASS_NAMES, looks):
    error_bars(axs[0], [shares[name] for shares in accuracy.values()], style, colour, name)
for name, style, colour in (("precision", "-o", "#0072B2"), ("recall", "--s", "#D55E00")):
    error_bars(axs[1], [figures[name] for figures in quality.values()], style, colour, name)
error_bars(axs[2], [figures["fsd"] for figures in quality.values()], "-o", "#0072B2")
for ax, label in zip(axs, ("share recognised", "share", "Fréchet sprite distance")):
    ax.set(xlabel="guidance w", ylabel=label, xticks=stored_w)
axs[0].legend(fontsize=8)
axs[1].legend()
plt.show()

# %% [markdown]
# *Caption: obedience, precision and recall, and distance to real sprites, for w = 1, 2, 3; the bars are standard deviations over three seeds.* ⟨CHECK: From w = 1 to 3 the least obeyed class rises from ⟨NUM⟩ to ⟨NUM⟩. Recall falls from ⟨NUM⟩ to ⟨NUM⟩, and the distance grows from ⟨NUM⟩ to ⟨NUM⟩.⟩ There is no best $w$ without a purpose. Who wants one clear burger takes a large one; who wants samples spread like the data takes $w$ near 1.

# %% [markdown]
# ## 8 · Mix it yourself
#
# Six sprites from a fixed start noise, with DDIM in 10 steps, so that the answer comes within a second. The first cell draws the setting `[1, 0, 0.6, 0, 0]` with $w = 2$.

# %%
mix = dict(zip(CLASS_NAMES, (1.0, 0.0, 0.6, 0.0, 0.0))) | {"w": 2.0}


def draw_mix(mix):
    """Six sprites for a mix: class name → part, and "w" → guidance."""
    context = torch.tensor([[mix[name] for name in CLASS_NAMES]]).repeat(6, 1)
    options = {"guidance": mix["w"], "model": context_model, "seed": 8, "progress": False}
    return sample_ddim_context(6, context, n=10, **options)[0]


show_images(draw_mix(mix), nrow=1)

# %% [markdown]
# The next cells put sliders beside it. They need a running notebook: JupyterLab, VS Code or Colab. (Here on a web page there is only the picture above.) Run the cells, move a slider, let go, and look. Things to try:
#
# - only *hero*, then slowly *side-facing* up to 1 as well: two kinds of people;
# - only *food*, and $w$ from 0 to 6;
# - all classes at 1: far from anything the network has seen;
# - all at 0: then $w$ has no effect. Why?

# %%
def as_png(samples):
    """Pictures (n, 3, 16, 16) side by side, six times as large, as the bytes of a PNG file."""
    pixels = to_unit(samples.permute(1, 2, 0, 3).flatten(2))  # (16, 16 n, 3)
    picture = Image.fromarray((255 * pixels).round().astype(np.uint8))
    file = io.BytesIO()
    picture.resize((6 * picture.width, 6 * picture.height), Image.Resampling.NEAREST).save(file, "png")
    return file.getvalue()


# %%
sliders = {
    name: widgets.FloatSlider(value, min=0, max=6 if name == "w" else 1, description=name, continuous_update=False)
    for name, value in mix.items()
}
live = widgets.Image(value=as_png(draw_mix(mix)), format="png")


def redraw(change):
    live.value = as_png(draw_mix({name: slider.value for name, slider in sliders.items()}))


for slider in sliders.values():
    slider.observe(redraw, names="value")
if "TQDM_DISABLE" not in os.environ:  # it is set where the stored copy is made: there, nobody moves a slider
    display(widgets.HBox([widgets.VBox([*sliders.values()]), live]))

# %% [markdown]
# Moving a slider sets its `value`, and so can you. This is also how the course tests that the sliders work:

# %% tags=["nbval-check-output"]
before = live.value
sliders["food"].value = 1.0
print("another picture:", live.value != before)
sliders["food"].value = 0.6
print("the first again:", live.value == before)

# %% [markdown]
# (All at 0 is the context "none". Then both predictions in equation (3) are the same, and their difference is 0, whatever $w$ is.)

# %% [markdown]
# ## Recap
#
# | question | answer | where |
# |:--|:--|:--|
# | Where does the context enter? | it multiplies the channels, before `up1` and `up2`; the noise level adds | `ContextUnet.forward` |
# | What is "no context"? | five zeros; a vector that the network was trained on, not a gain of 0 | section 2 |
# | What does the mask do? | it hides a tenth of the contexts, so that one network also learns to draw without | section 3 |
# | When does the context matter? | at high noise: there it is decided what is drawn | section 3 |
# | What does a mixture mean? | nothing that was trained; the network extrapolates | section 6 |
# | What is guidance? | $\varepsilon_\theta(x_t,t) + w\,(\varepsilon_\theta(x_t,t,c)-\varepsilon_\theta(x_t,t))$: what the context changes, exaggerated | `guided_noise` |
# | What does it cost? | a second pass through the network, variety, and values beyond the data | section 7 |
#
# ## Quiz
#
# **1.** At one pixel the network predicts 0.2 without context and 0.5 with it. What is the guided prediction for $w = 0$, 1 and 3?
# <details><summary>Answer</summary>0.2, 0.5, and 0.2 + 3 · (0.5 - 0.2) = 1.1. The last lies outside of both: guidance extrapolates.</details>
#
# **2.** Someone trains with contexts but without the mask. Sampling with w = 1 looks fine. What happens with w = 3?
# <details><summary>Answer</summary>The rule needs the prediction for five zeros, a vector the network has never seen. That prediction may be anything, and three times its difference from the right one is added. Expect damaged pictures, and no error message.</details>
#
# **3.** A mask hides each of the five <i>numbers</i> with probability 10 %, instead of whole vectors. With one-hot labels, does it make a difference?
# <details><summary>Answer</summary>No. Only one of the five numbers is not 0 already, and it is hidden with probability 10 %. With labels that hold several ones it would: then parts of a wish would be hidden, and the zeros would hardly ever come up.</details>
#
# **4.** Someone stores the contexts as whole numbers, <code>torch.tensor([[1, 0, 0.6, 0, 0]]).long()</code>. What is drawn?
# <details><summary>Answer</summary>Plain heroes: 0.6 is cut to 0, without a warning. Contexts are floats.</details>
#
# **5.** With w = 6 nearly every sprite is recognised. A colleague says: so the network draws better than with w = 1. What do you look at?
# <details><summary>Answer</summary>Variety, recall and the Fréchet distance. The classifier rewards what is typical of a class; twelve equal burgers would all be recognised.</details>
#
# ## What comes next
#
# The examples with 500 steps took seconds for a few sprites; DDIM drew 200 in about the same time. Why 25 steps can be enough, and what is lost, is the subject of **[Lab 4](../L4_FastSampling/L4_FastSampling.ipynb)**.
#
# ## Further reading
#
# - Ho and Salimans 2022, [Classifier-Free Diffusion Guidance](https://arxiv.org/abs/2207.12598): section 7 of this lab, on ImageNet, with the sweep over the share of hidden contexts.
# - Dhariwal and Nichol 2021, [Diffusion Models Beat GANs on Image Synthesis](https://arxiv.org/abs/2105.05233): guidance with a real classifier, where the idea began.
# - Bradley and Nakkiran 2024, [Classifier-Free Guidance is a Predictor-Corrector](https://arxiv.org/abs/2408.09000): why the sharpened density is not what comes out.
# - Liu et al. 2022, [Compositional Visual Generation with Composable Diffusion Models](https://arxiv.org/abs/2206.01714): mixing predictions in place of contexts.
# - Perez et al. 2017, [FiLM](https://arxiv.org/abs/1709.07871): scale and shift as a general way to tell a network something.
# - Luo 2022, [Understanding Diffusion Models: A Unified Perspective](https://arxiv.org/abs/2208.11970): its last chapters derive scores and guidance slowly.
#
# The idea of teaching diffusion on sprites with a context vector, and of mixing contexts, is that of DeepLearning.AI's course [How Diffusion Models Work](https://www.deeplearning.ai/short-courses/how-diffusion-models-work/); its network goes back to [minDiffusion](https://github.com/cloneofsimo/minDiffusion). Text, code, sprites and weights here are this course's own.

# %% [markdown]
# # PROPOSALS (for the owner; delete before release)
#
# 1. `requirements.txt`: `ipywidgets` comes with `jupyter`; the lab imports it itself now, so name it (`ipywidgets>=8.1,<9`).
# 2. `pyproject.toml`: the seeds' snippets keep their own order of imports. Add `"L3_Context/*.ipynb" = ["I001"]` to `per-file-ignores` (patterns add up). `# fmt: skip` comments are the only thing added to the snippets.
