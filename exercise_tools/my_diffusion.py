"""One program of what a learner wrote in the four labs: my_diffusion.py.

    from exercise_tools.my_diffusion import write
    path = write("L4_FastSampling")

A function that has passed its check is the learner's own, read from the labs' progress.json. It must
pass once more beside nothing but the functions before it, because it may have used what another cell
held. In the place of what is missing stands the lab's solution, and the program says so.
"""

from __future__ import annotations

import importlib
import os
from itertools import count
from pathlib import Path

from exercise_tools import make_sheets
from support.writing import replacing

# the exercises that make up the program, in the order in which they stand in it
PIECES = {
    "L1_Sampling": [
        "linear_schedule",
        "residual_block",
        "time_embedding",
        "unet",
        "denoise_add_noise",
        "sample_ddpm",
    ],
    "L2_Training": ["perturb_input", "noise_loss", "ema_update", "training_step"],
    "L3_Context": ["context", "hide_contexts", "guided_noise"],
    "L4_FastSampling": ["step_pairs", "denoise_ddim"],
}

HEAD = '''"""A diffusion model, from the noise to the sprites, as I wrote it in the course.

    python my_diffusion.py    # in the folder of a lab; draws my_diffusion.png
"""

import copy
import sys
from pathlib import Path

if not __package__:  # started by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])
from diffusion_utilities import *

timesteps = 500
'''

# After the schedule, which the other functions need, come its tables; and what the module's functions
# are named in the learner's own code means the learner's own from there on.
TABLES = "b_t, a_t, ab_t = my_linear_schedule(timesteps, 1e-4, 0.02)\n"
OWN_NAMES = """perturb_input, denoise_add_noise = my_perturb_input, my_denoise_add_noise
ema_update, guided_noise, step_pairs = my_ema_update, my_guided_noise, my_step_pairs
"""

TAIL = '''

class MyBlock(ResidualConvBlock):
    def forward(self, x):
        return my_residual_block(x, self.conv1, self.conv2, self.shortcut)


class MyUnet(ContextUnet):
    """The stages are the course's, the way through them is mine."""

    def __init__(self, n_feat=64):
        super().__init__(3, n_feat, 5, 16)
        self.init_conv = MyBlock(3, n_feat, is_res=True)
        self.timeembed1.model = my_time_embedding(2 * n_feat)
        self.timeembed2.model = my_time_embedding(n_feat)

    def forward(self, x, t, c=None):
        t = torch.as_tensor(t, dtype=x.dtype).reshape(-1, 1).expand(len(x), 1)
        c = x.new_zeros(len(x), self.n_cfeat) if c is None else c
        return my_unet(self, x, t, c)


def train(images, n_steps=30):
    """Train a small network from nothing; the loss of the first and of the last steps."""
    model = MyUnet(n_feat=16)
    ema_model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(n_steps):
        x = images[torch.randint(len(images), (64,))]
        losses.append(my_training_step(model, ema_model, optimizer, my_noise_loss, x, 0.9).item())
    return sum(losses[:5]) / 5, sum(losses[-5:]) / 5


@torch.no_grad()
def draw_heroes(model, x, n_steps=25, w=2):
    """Heroes from the noise x, by DDIM and with guidance."""
    c = my_context({"hero": 1}, len(x))
    for t, t_next in my_step_pairs(n_steps, timesteps):
        pred_noise = my_guided_noise(model(x, t / timesteps, c), model(x, t / timesteps), w)
        x = my_denoise_ddim(x, t, t_next, pred_noise, 0.0, torch.zeros_like(x))
    return x


def main():
    torch.manual_seed(0)
    names = ("sprites_1788_16x16.npy", "sprite_labels_nc_1788_16x16.npy")
    folder = Path(__file__).resolve().parents[1] / "data"
    images, labels = sprite_tensors(*load_sprites(*(folder / name for name in names)))
    hidden = my_hide_contexts(labels, 0.1, torch.Generator().manual_seed(0)).sum(dim=1) == 0
    print(f"contexts hidden in training: {hidden.float().mean():.0%}")
    print("30 steps of training: loss {:.2f} → {:.2f}".format(*train(images)))
    model = MyUnet().eval()
    model.load_state_dict(load_pretrained("context_model_trained", "cpu").state_dict())
    x = torch.randn(8, 3, 16, 16)
    rows = torch.cat([my_sample_ddpm(model, x), draw_heroes(model, x)])
    path = Path(__file__).with_suffix(".png")
    plt.imsave(path, mosaic(rows, n_rows=2, scale=4))
    print(f"{path.name}: 8 sprites in 500 steps of DDPM; 8 heroes in 25 steps of DDIM")


if __name__ == "__main__":
    main()
'''


def write(folder: str) -> Path:
    """Write my_diffusion.py into a lab's folder; its path. Prints whose each function is.

    Where there is another my_diffusion.py already, it stays, and the new one gets a number.
    """
    text = program()
    paths = (make_sheets.ROOT / folder / f"my_diffusion{n if n > 1 else ''}.py" for n in count(1))
    path = next(p for p in paths if not p.exists() or p.read_text(encoding="utf-8") == text)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    n_own, n = text.count(" · yours\n"), sum(map(len, PIECES.values()))
    print(f"{path.name}: {n_own} of {n} functions are yours, {n - n_own} the labs' solutions")
    return path


def program() -> str:
    """The text of my_diffusion.py."""
    parts, earlier = [HEAD], ""
    for lab, names in PIECES.items():
        notebook = make_sheets.read(make_sheets.ROOT / lab / f"{lab}.ipynb")
        solutions = solutions_of(notebook)
        checks = importlib.import_module(f"{lab}.checks")
        stored = checks.LAB.functions()
        for name in names:
            code, exercise = stored.get(name, ""), checks.LAB.exercises[name]
            whose = "yours" if passes(code, name, checks, earlier) else "the lab's solution"
            code = code if whose == "yours" else solutions[name]
            earlier += f"{code}\n\n"
            parts.append(f"\n\n# Exercise {exercise.number}, {exercise.title} · {whose}\n{code.strip()}\n")
            if name == "linear_schedule":
                parts.append(f"\n\n{TABLES}")
    return "".join([*parts, f"\n\n{OWN_NAMES}", TAIL])


def solutions_of(notebook: dict) -> dict[str, str]:
    """Exercise → the code of its solution."""
    cells = [make_sheets.source(cell) for cell in notebook["cells"] if make_sheets.kind(cell) == "solution"]
    return {make_sheets.functions(code)[0].removeprefix("my_"): code for code in cells}


def passes(code: str, name: str, checks: object, earlier: str = "") -> bool:
    """Whether a function passes its check beside the course and the functions that stand before it."""
    if not code:
        return False
    space: dict = {"timesteps": 500, "__name__": "my_diffusion"}
    exec("from diffusion_utilities import *\nschedule = linear_schedule()", space)
    space |= {table: getattr(space["schedule"], table) for table in ("b_t", "a_t", "ab_t")}
    before = os.environ.get("COURSE_PROGRESS")
    os.environ["COURSE_PROGRESS"] = "off"  # it has been noted already
    try:
        exec(f"{earlier}{code}", space)
        return getattr(checks, f"check_{name}")(space[f"my_{name}"]).status == "passed"
    except Exception:  # whatever a cell may have held
        return False
    finally:
        os.environ.pop("COURSE_PROGRESS") if before is None else os.environ.update(COURSE_PROGRESS=before)
