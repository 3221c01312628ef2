"""The training script: it learns, goes on exactly, runs on several processes alike, and says what is wrong."""

import math
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import diffusion_utilities as du
from diffusion_utilities import Clipped
from going_further import checkpoints, datasets, options, train, unet
from going_further.datasets import ImageData
from going_further.diffusion import DenoiseDiffusion
from support.training import alone

SMALL = "--dim 16 --dim-mults 1 2 --blocks 1 --timesteps 20 --batch-size 8 --epochs 3".split()
SMALL += ["--mixed-precision", "no"]  # with "auto", figures would depend on the processor
# Adam's first steps enlarge the rounding of gradients near zero
ROUNDING = {"rtol": 1e-3, "atol": 1e-5}


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """Accelerate keeps its settings for the whole process; every test starts without."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """18 bright and 18 dark pictures of 8×8, each of one colour."""
    root = tmp_path_factory.mktemp("pictures")
    for i in range(36):
        folder = root / ("bright", "dark")[i % 2]
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (200 * (1 - i % 2) + i, 100 + i, 100)).save(folder / f"{i}.png")
    return root


def command(pictures, out, *more):
    return [
        "--dataset",
        "custom",
        "--data",
        str(pictures),
        "--out",
        str(out),
        *SMALL,
        *map(str, more),
    ]


def run(pictures, out, *more):
    train.main(command(pictures, out, *more))
    AcceleratorState._reset_state(True)
    return checkpoints.read(out / "checkpoint.pt")


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    """A run that was not stopped: its folder and its checkpoint."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, run(pictures, out)


def error_of(arguments, capsys, status=2):
    """The one line that the script prints."""
    with pytest.raises(SystemExit) as info:
        train.main(arguments)
    assert info.value.code == status
    text = capsys.readouterr().err
    assert text.startswith("train.py: ") and text.count("\n") == 1
    return text


def tensors(state, path=""):
    """All tensors in nested dictionaries, by the keys that lead to them."""
    if isinstance(state, torch.Tensor):
        return {path: state}
    items = state.items() if isinstance(state, dict) else []
    return {key: value for name, part in items for key, value in tensors(part, f"{path}/{name}").items()}


def check_equal(state, expected, **tolerance):
    """The same tensors, exactly or with a tolerance."""
    ours, theirs = tensors(state), tensors(expected)
    assert ours.keys() == theirs.keys() and ours
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], **(tolerance or {"rtol": 0, "atol": 0}), msg=key)


# -------------------------------------------------------------------------------------- a whole run


def test_run_leaves_its_files(whole):
    out, state = whole
    assert {path.name for path in out.iterdir()} == {
        "checkpoint.pt",
        "model.pt",
        "samples",
        "tensorboard",
    }
    assert state["step"] == 3 * 4 and state["epoch"] == 3 and len(state["losses"]) == 3
    net, schedule, config = checkpoints.load_model(out / "model.pt", "cpu")
    assert schedule.timesteps == 20 and config["class_names"] == ["bright", "dark"] and net.h == 8
    with Image.open(out / "samples" / "epoch_0003.png") as grid:
        assert grid.size == (2 * 9 + 1, 4 * 9 + 1)  # a column for each class


def test_example_pictures_are_dpm_with_all_noise_fresh(whole):
    out, _ = whole
    net, schedule, _ = checkpoints.load_model(out / "model.pt", "cpu")
    context, options = (
        torch.eye(2).repeat(4, 1),
        {"model": Clipped(net, schedule), "schedule": schedule, "seed": 0},
    )
    samples, _ = du.sample_dpm_context(8, context, 10, eta=math.inf, progress=False, **options)
    with Image.open(out / "samples" / "epoch_0003.png") as grid:
        # without the lines between them
        cells = np.asarray(grid)[1:, 1:].reshape(4, 9, 2, 9, 3)[:, :8, :, :8]
    pictures = torch.from_numpy(cells.swapaxes(1, 2).reshape(8, 8, 8, 3).copy()).permute(0, 3, 1, 2)
    torch.testing.assert_close(pictures / 127.5 - 1, samples.clamp(-1, 1), atol=0.02, rtol=0)


def test_it_learns(pictures, tmp_path):
    state = run(pictures, tmp_path / "out", "--epochs", 12, "--lr", 0.01)
    (first, first_held_out), (last, last_held_out) = state["losses"][0], state["losses"][-1]
    assert last < 0.6 * first and last_held_out < 0.6 * first_held_out


def test_tensorboard_gets_losses_and_pictures(whole):
    out, state = whole
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    validation = events.Scalars("loss/validation")
    assert [event.step for event in validation] == [4, 8, 12]
    assert [event.value for event in validation] == pytest.approx([held_out for _, held_out in state["losses"]])
    assert {"loss/training", "learning_rate"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["samples"]


def test_averaged_weights_are_no_copy_of_the_last_ones(whole):
    _, state = whole
    assert any(not torch.equal(state["ema"][key], value) for key, value in state["model"].items())


def test_one_class_is_a_network_without_classes(pictures, tmp_path):
    shutil.copytree(pictures / "bright", tmp_path / "one" / "bright")
    state = run(tmp_path / "one", tmp_path / "out", "--epochs", 1)
    assert state["config"]["class_names"] == [] and state["config"]["unet"]["n_classes"] is None


# ----------------------------------------------------------------------------------- stop and go on


def stop_at_step(monkeypatch, step, with_error):
    """The run is stopped within the step of that number, 0, 1, …"""
    steps = iter(range(10**6))

    def stop(*args):
        if next(steps) == step:
            raise with_error
        du.ema_update(*args)

    monkeypatch.setattr(train, "ema_update", stop)


def test_stopped_and_resumed_run_ends_with_the_same_weights(pictures, whole, tmp_path, capsys, monkeypatch):
    stop_at_step(monkeypatch, 6, KeyboardInterrupt())  # in the middle of the second epoch
    with pytest.raises(SystemExit) as error:
        train.main(command(pictures, tmp_path / "out"))
    text = capsys.readouterr().err
    assert error.value.code == 130 and "with --resume goes on after epoch 1\n" in text
    assert checkpoints.read(tmp_path / "out" / "checkpoint.pt")["epoch"] == 1
    monkeypatch.undo()
    AcceleratorState._reset_state(True)
    resumed = run(pictures, tmp_path / "out", "--resume")
    check_equal(resumed, whole[1])
    assert any("exp_avg" in key for key in tensors(resumed))
    assert resumed["losses"] == whole[1]["losses"]


def test_a_run_stopped_within_an_epoch_goes_on_there(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train, "LOG_EVERY", 1)
    whole = run(pictures, tmp_path / "whole")
    stop_at_step(monkeypatch, 7, KeyboardInterrupt())
    often = ("--save-minutes", 1e-9)
    with pytest.raises(SystemExit):
        train.main(command(pictures, tmp_path / "out", *often))
    assert "with --resume goes on after step 3 of epoch 2\n" in capsys.readouterr().err
    state = checkpoints.read(tmp_path / "out" / "checkpoint.pt")
    assert state["epoch"] == 1 and state["step"] == 7
    steps = []
    monkeypatch.setattr(train, "ema_update", lambda *args: steps.append(du.ema_update(*args)))
    AcceleratorState._reset_state(True)
    resumed = run(pictures, tmp_path / "out", "--resume")
    assert len(steps) == 3 * 4 - 7
    check_equal(resumed, whole)
    assert resumed["losses"] == whole["losses"]


def test_a_run_stopped_before_its_first_checkpoint_says_so(pictures, tmp_path, capsys, monkeypatch):
    stop_at_step(monkeypatch, 2, KeyboardInterrupt())
    with pytest.raises(SystemExit) as error:
        train.main(command(pictures, tmp_path / "out"))
    text = capsys.readouterr().err
    assert error.value.code == 130 and "nothing to go on from" in text and "--resume" not in text
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def test_curves_of_a_lost_run_do_not_mix_with_the_next(pictures, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(train, "LOG_EVERY", 1)
        stop_at_step(patch, 3, KeyboardInterrupt())
        with pytest.raises(SystemExit):
            train.main(command(pictures, tmp_path / "out"))
    AcceleratorState._reset_state(True)
    run(pictures, tmp_path / "out", "--epochs", 1)
    (file,) = (tmp_path / "out" / "tensorboard").iterdir()
    events = EventAccumulator(str(file))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/training")] == [4]


def test_checkpointing_changes_no_bit_and_may_be_added_on_the_way(pictures, whole, tmp_path, monkeypatch):
    stop_at_step(monkeypatch, 6, KeyboardInterrupt())
    with pytest.raises(SystemExit):
        train.main(command(pictures, tmp_path / "out"))
    monkeypatch.undo()
    AcceleratorState._reset_state(True)
    blocks, plain = [], unet.checkpoint
    monkeypatch.setattr(unet, "checkpoint", lambda *args, **how: blocks.append(args[0]) or plain(*args, **how))
    resumed = run(pictures, tmp_path / "out", "--resume", "--checkpointing")
    assert len(blocks) == 8 * 6  # 8 steps to go; two blocks on the way down, two in the middle, two on the way up
    check_equal(resumed, whole[1])
    assert resumed["losses"] == whole[1]["losses"] and resumed["config"] == whole[1]["config"]


@pytest.mark.parametrize(("precision", "last"), [("no", True), ("bf16", False)])
def test_layout_is_the_faster_one(precision, last, pictures, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train.Trainer, "run", lambda trainer: seen.append(trainer.net.init_conv.weight))
    train.main(command(pictures, tmp_path / "out", "--mixed-precision", precision))
    assert seen[0].is_contiguous(memory_format=torch.channels_last) == last


def test_precision_is_the_faster_one_and_stays_at_a_resume(pictures, tmp_path, monkeypatch):
    for faster, expected in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr(train, "bf16_is_faster", lambda device, faster=faster: faster)
        out, auto = tmp_path / expected, ("--epochs", 1, "--mixed-precision", "auto")
        assert run(pictures, out, *auto)["config"]["training"]["mixed_precision"] == expected
        monkeypatch.setattr(train, "bf16_is_faster", lambda device, faster=faster: not faster)
        state = run(pictures, out, *auto, "--resume", "--epochs", 2)
        assert state["config"]["training"]["mixed_precision"] == expected and state["epoch"] == 2
    monkeypatch.setattr(train, "bf16_is_faster", None)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert train.choose_precision("auto", None) is None
    assert train.choose_precision("bf16", None) == "bf16"


def test_other_settings_do_not_resume(pictures, whole, capsys):
    text = error_of(command(pictures, whole[0], "--resume", "--lr", 0.5, "--blocks", 2), capsys)
    assert "rate was 0.001, is now 0.5" in text and "n_blocks was 1, is now 2" in text


def test_other_pictures_do_not_resume(pictures, whole, tmp_path, capsys):
    shutil.copytree(pictures, tmp_path / "changed")
    Image.new("RGB", (8, 8)).save(tmp_path / "changed" / "dark" / "1.png")
    text = error_of(command(tmp_path / "changed", whole[0], "--resume"), capsys)
    assert "data was " in text and not re.search("[0-9a-f]{13}", text)  # not all of a hash


def test_relabelled_pictures_do_not_resume(pictures, whole, tmp_path, capsys):
    """The same pictures in the same order: the last of the bright ones is the first of the dark ones."""
    changed = tmp_path / "changed"
    shutil.copytree(pictures, changed)
    last = max((changed / "bright").iterdir())
    last.rename(changed / "dark" / "0.png")
    before, data = datasets.load("custom", pictures), datasets.load("custom", changed)
    assert torch.equal(data.images, before.images) and not torch.equal(data.labels, before.labels)
    text = error_of(command(changed, whole[0], "--resume"), capsys)
    assert "is of another run: data was " in text


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--accumulate", 2), "accumulate was 1, is now 2"),
        (("--no-augment",), "augment was True, is now False"),
        (("--seed", 1), "seed was 0, is now 1"),
        (("--epochs", 2), "epochs was 3, is now 2"),
        (("--schedule", "cosine"), "schedule was 'linear', is now 'cosine'"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_each_other_setting_is_named(option, named, pictures, whole, capsys):
    assert named in error_of(command(pictures, whole[0], "--resume", *option), capsys)


def test_a_finished_run_is_lengthened_in_words(pictures, whole, tmp_path, capsys):
    shutil.copytree(whole[0], tmp_path / "out")
    state = run(pictures, tmp_path / "out", "--resume", "--epochs", 5)
    said = capsys.readouterr().out
    assert "lengthened from 3 epochs to 5" in said and "not that of one long run" in said
    assert state["epoch"] == 5 and state["losses"][:3] == whole[1]["losses"]
    assert state["config"]["recipe"]["epochs"] == 5


def test_a_run_that_is_not_finished_is_not_lengthened(pictures, whole, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    du.save_weights(
        whole[1] | {"epoch": 2, "losses": whole[1]["losses"][:2]},
        tmp_path / "out" / "checkpoint.pt",
    )
    text = error_of(command(pictures, tmp_path / "out", "--resume", "--epochs", 5), capsys)
    assert "epochs was 3, is now 5" in text


def test_a_run_starts_from_given_weights_and_remembers_which(pictures, whole, tmp_path, capsys):
    start = whole[0] / "model.pt"
    # at a rate of next to nothing it stays where it starts
    state = run(pictures, tmp_path / "out", "--start", start, "--epochs", 1, "--lr", 1e-12)
    assert "starting from the averaged weights" in capsys.readouterr().out
    check_equal(state["model"], whole[1]["ema"], rtol=0, atol=1e-6)
    text = error_of(command(pictures, tmp_path / "out", "--resume", "--epochs", 1, "--lr", 1e-12), capsys)
    assert "start was " in text
    text = error_of(command(pictures, tmp_path / "other", "--start", start, "--dim", 24), capsys)
    assert "does not fit this network" in text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("model"),
        lambda state: state.pop("losses"),
        lambda state: state.update(epoch="three"),
        lambda state: state.update(optimizer=[1]),
        lambda state: state.update(optimizer={"state": {}}),
        lambda state: state["config"]["recipe"].update(epochs=None),
        lambda state: state["model"].pop("init_conv.bias"),
    ],
)
def test_a_checkpoint_without_its_parts_is_one_clear_line(spoil, pictures, whole, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    state = checkpoints.read(whole[0] / "checkpoint.pt")
    spoil(state)
    du.save_weights(state, tmp_path / "out" / "checkpoint.pt")
    text = error_of(command(pictures, tmp_path / "out", "--resume", "--epochs", 5), capsys)
    assert "does not say how to go on" in text or "epochs was" in text


def test_a_run_without_a_recipe_in_it_does_not_resume(pictures, whole, tmp_path, capsys):
    """As checkpoints of before have it; for sampling they serve as ever."""
    (tmp_path / "out").mkdir()
    state = checkpoints.read(whole[0] / "checkpoint.pt")
    del state["config"]["recipe"]
    du.save_weights(state, tmp_path / "out" / "checkpoint.pt")
    text = error_of(command(pictures, tmp_path / "out", "--resume"), capsys)
    assert "is of another run: epochs was None, is now 3" in text


def test_two_runs_in_one_folder_are_noticed_before_the_first_checkpoint(pictures, tmp_path, capsys):
    with alone(tmp_path / "out" / "checkpoint.pt"):
        text = error_of(command(pictures, tmp_path / "out"), capsys)
    assert "another run is writing" in text and not (tmp_path / "out" / "checkpoint.pt").exists()


def test_a_finished_run_is_not_overwritten(pictures, whole, capsys):
    before = (whole[0] / "checkpoint.pt").read_bytes()
    assert "holds a run already" in error_of(command(pictures, whole[0]), capsys)
    assert (whole[0] / "checkpoint.pt").read_bytes() == before


# ------------------------------------------------------------ the same batch in parts and processes


def test_accumulation_changes_nothing_but_rounding(pictures, whole, tmp_path):
    parts = run(pictures, tmp_path / "out", "--accumulate", 4)
    np.testing.assert_allclose(parts["losses"], whole[1]["losses"], rtol=1e-5)
    check_equal(parts["model"], whole[1]["model"], **ROUNDING)


def test_two_processes_change_nothing_but_rounding(pictures, whole, tmp_path):
    script = str(du.ROOT / "going_further" / "train.py")
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
    ]
    launch += [
        "--main_process_port",
        "0",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
    ]
    done = subprocess.run(
        [*launch, script, *command(pictures, tmp_path / "out")],
        env=os.environ | {"ACCELERATE_USE_CPU": "true"},  # also where there is a GPU
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "processes: 2, on cpu" in done.stdout
    assert done.stdout.count("epoch 3/3") == done.stdout.count("done: ") == 1  # one process speaks
    both = checkpoints.read(tmp_path / "out" / "checkpoint.pt")
    np.testing.assert_allclose(both["losses"], whole[1]["losses"], rtol=1e-5)
    check_equal(both["model"], whole[1]["model"], **ROUNDING)


# ------------------------------------------------------------------------------- when it goes wrong


def test_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(pictures, tmp_path, capsys, monkeypatch):
    # four steps and a validation are the first epoch
    factors = iter([1.0] * 5 + [math.nan] * 10**6)
    plain = DenoiseDiffusion.loss
    monkeypatch.setattr(DenoiseDiffusion, "loss", lambda *args, **kwargs: next(factors) * plain(*args, **kwargs))
    text = error_of(command(pictures, tmp_path / "out"), capsys, status=1)
    assert "loss is nan" in text and "checkpoint.pt is that of epoch 1" in text
    for cure in ("--lr", "bf16", "pictures"):
        assert cure in text
    state = checkpoints.read(tmp_path / "out" / "checkpoint.pt")
    assert state["epoch"] == 1 and all(value.isfinite().all() for value in state["model"].values())
    assert not (tmp_path / "out" / "model.pt").exists()


def test_weights_that_broke_in_the_last_step_of_an_epoch_are_not_kept(pictures, tmp_path, capsys, monkeypatch):
    steps = iter(range(10**6))

    def spoil(ema, net, decay):
        du.ema_update(ema, net, decay)
        if next(steps) == 3:  # all losses of the epoch were finite
            next(ema.parameters()).data.fill_(math.nan)

    monkeypatch.setattr(train, "ema_update", spoil)
    text = error_of(command(pictures, tmp_path / "out"), capsys, status=1)
    assert "loss is nan" in text and "there is no checkpoint yet" in text
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def test_weights_that_broke_within_an_epoch_are_not_kept(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train, "LOG_EVERY", 1)
    steps = iter(range(10**6))

    def spoil(ema, net, decay):
        du.ema_update(ema, net, decay)
        if next(steps) == 2:
            next(ema.parameters()).data.fill_(math.nan)

    monkeypatch.setattr(train, "ema_update", spoil)
    often = ("--save-minutes", 1e-9)
    text = error_of(command(pictures, tmp_path / "out", *often), capsys, status=1)
    assert "loss is nan" in text and "checkpoint.pt is that of step 2 of epoch 1" in text
    state = checkpoints.read(tmp_path / "out" / "checkpoint.pt")
    assert state["step"] == 2 and all(value.isfinite().all() for value in state["ema"].values())


def test_large_learning_rate_ends_in_the_message(pictures, tmp_path, capsys):
    assert "Try a lower --lr (now 1e+30)" in error_of(command(pictures, tmp_path / "out", "--lr", 1e30), capsys, 1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dim-mults", 1, 2, 2, 2, 2], "an --image-size that is a multiple of 16"),
        (
            ["--image-size", 6, "--dim-mults", 1, 2, 2],
            "a multiple of 4, because .* halves it 2 times, got 6",
        ),
        (["--dim", 20], "a --dim that is a multiple of 8, got 20"),
        (["--batch-size", 40], "at most 35, the number of pictures"),
        (["--batch-size", 8, "--accumulate", 3], "a multiple of 3"),
        (["--mixed-precision", "fp16"], "a GPU for --mixed-precision fp16"),
        (["--data", "nowhere"], "there is no folder .*nowhere"),
        (["--resume"], "no checkpoint at .*checkpoint.pt"),
        (["--dataset", "sprites"], "no file .*sprites_1788"),
        (["--dataset", "mnist"], "MNIST is not complete in .*could not be downloaded"),
    ],
)
def test_arguments_that_do_not_fit(pictures, tmp_path, capsys, monkeypatch, more, message):
    def download(*args, **kwargs):
        raise OSError("no network\nin tests")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", download)
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "empty"
    data.mkdir()
    if "--dataset" in more:
        more = [*more, "--data", data]
    text = error_of(command(pictures, tmp_path / "out", *more), capsys)
    assert text.startswith("train.py: error: ")
    assert re.search(message, text)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        "--dataset imagenet",
        "--schedule straight",
        "--epochs 0",
        "--lr -1",
        "--lr fast",
        "--seed -1",
        "--batch-size 2.5",
    ],
)
def test_arguments_that_nobody_can_mean(pictures, tmp_path, capsys, wrong):
    with pytest.raises(SystemExit) as info:
        train.main(command(pictures, tmp_path / "out", *wrong.split()))
    assert info.value.code == 2
    assert wrong.split()[0] in capsys.readouterr().err.splitlines()[-1]


def test_pictures_that_are_not_square(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (8, 16)).save(tmp_path / "a" / "1.png")
    assert "expected square pictures, got 8×16: choose a size with --image-size" in error_of(
        command(tmp_path, tmp_path / "out"), capsys
    )


def test_custom_needs_a_folder_and_says_what_is_in_it(capsys):
    text = error_of("--dataset custom --image-size 64 --timesteps 1000".split(), capsys)
    assert "expected --data with the folder of your pictures, a subfolder for each class" in text


def test_without_arguments_it_learns_the_sprites():
    assert options.train_parser().parse_args([]).dataset == "sprites"


# -------------------------------------------------------------------------------------------- parts


def test_batches_show_every_picture_once_at_all_levels_with_some_classes_hidden():
    images = torch.arange(4000.0).reshape(4000, 1, 1, 1)
    labels = torch.eye(2)[torch.arange(4000) % 2]
    batches = list(
        train.epoch_batches(images, labels, 64, 10, lambda x, generator: x, train.generator_for(seed=0, epoch=1))
    )
    assert len(batches) == 4000 // 64
    x, c, t, noise = (torch.cat(parts) for parts in zip(*batches, strict=True))
    shown = x.flatten().long()
    assert len(set(shown.tolist())) == len(shown) == 62 * 64
    assert not torch.equal(shown, shown.sort().values)
    hidden = (c == 0).all(dim=1)
    assert hidden.float().mean() == pytest.approx(train.kit.CONTEXT_DROPOUT, abs=0.02)
    assert torch.equal(c[~hidden], labels[shown[~hidden]])
    assert torch.bincount(t, minlength=11)[1:].min() > 300 and t.max() == 10 and t.min() == 1
    assert noise.mean() == pytest.approx(0, abs=0.05) and noise.std() == pytest.approx(1, abs=0.05)


def test_epochs_and_seeds_differ():
    first = [torch.rand(1, generator=train.generator_for(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len(set(map(float, first))) == 6


def test_a_short_run_has_a_short_warm_up(whole):
    assert whole[1]["config"]["recipe"]["warmup_steps"] == 12 // 10


def make_trainer(pictures, tmp_path, *more):
    args = options.train_parser().parse_args(command(pictures, tmp_path / "out", *more))
    data = train.datasets.load(args.dataset, args.data, args.image_size)
    accelerator = train.Accelerator(gradient_accumulation_steps=args.accumulate)
    return train.Trainer(accelerator, data, train.make_config(args, data, "no"), args.out), data


def test_channels_lie_side_by_side_in_memory(pictures, tmp_path):
    trainer, _ = make_trainer(pictures, tmp_path)
    for net in (trainer.net, trainer.ema):
        assert net.init_conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_held_out_pictures_are_not_trained_on(pictures, tmp_path):
    trainer, data = make_trainer(pictures, tmp_path)
    colours = sorted(data.images[:, 0, 0, 0].tolist())
    assert len(trainer.held_out.x) == 1 and len(trainer.images) == 35
    assert sorted([*trainer.images[:, 0, 0, 0].tolist(), *trainer.held_out.x[:, 0, 0, 0].tolist()]) == colours


def test_validation_loss_is_the_same_each_time_and_of_the_averaged_weights(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "HELD_OUT", 0.5)  # 18 pictures, more than a batch
    trainer, _ = make_trainer(pictures, tmp_path, "--batch-size", 4)
    torch.nn.init.normal_(trainer.ema.out[2].weight)  # a fresh network predicts 0, at any input
    x, c, t, noise = trainer.held_out
    assert t.tolist() == sorted(t.tolist()) and t.min() == 1 and t.max() == 20
    x_t = du.perturb_input(x, t, noise, trainer.schedule)
    expected = (trainer.ema(x_t, t / 20, c) - noise).square().mean().item()
    assert trainer.validation_loss() == pytest.approx(expected, rel=1e-5)
    torch.manual_seed(1)
    assert trainer.validation_loss() == pytest.approx(expected, rel=1e-5)


def test_long_gradients_are_cut(pictures, tmp_path, monkeypatch):
    trainer, _ = make_trainer(pictures, tmp_path)
    plain = DenoiseDiffusion.loss
    monkeypatch.setattr(DenoiseDiffusion, "loss", lambda self, *args, **kwargs: 1e4 * plain(self, *args, **kwargs))
    norms = []
    trainer.optimizer.optimizer.register_step_pre_hook(
        lambda *args: norms.append(sum(p.grad.square().sum() for p in trainer.net.parameters()).sqrt().item())
    )
    batch = next(
        train.epoch_batches(
            trainer.images,
            trainer.labels,
            8,
            20,
            lambda x, generator: x,
            train.generator_for(seed=0, epoch=1),
        )
    )
    trainer.train_step(batch)
    assert norms == [pytest.approx(train.kit.LARGEST_GRADIENT, rel=1e-3)]


def test_augmentation_fits_the_pictures():
    images = torch.rand(64, 3, 4, 4)
    assert torch.equal(train.augmentation("mnist")(images, generator=None), images)
    assert train.augmentation("sprites") is du.augment
    assert train.augmentation("cifar10") is train.augmentation("custom") is train.datasets.mirror


def test_bf16_on_a_cpu(pictures, tmp_path):
    state = run(pictures, tmp_path / "out", "--mixed-precision", "bf16", "--epochs", 1)
    assert state["config"]["training"]["mixed_precision"] == "bf16"
    assert all(value.dtype == torch.float32 for value in state["model"].values())


def test_help(capsys):
    with pytest.raises(SystemExit) as info:
        train.main(["--help"])
    assert info.value.code == 0 and "--epochs" in capsys.readouterr().out


def test_grey_digits_of_ten_classes(tmp_path, monkeypatch):
    """With the shapes of MNIST."""
    digits = ImageData(torch.zeros(20, 1, 28, 28), torch.eye(10).repeat(2, 1), tuple("0123456789"))
    monkeypatch.setattr(train.datasets, "load", lambda *args: digits)
    small = "--epochs 1 --batch-size 8 --dim 8 --blocks 1 --timesteps 5"
    train.main(f"--dataset mnist {small} --out {tmp_path}/out".split())
    with Image.open(tmp_path / "out" / "samples" / "epoch_0001.png") as grid:
        assert grid.size == (10 * 29 + 1, 4 * 29 + 1)
    assert checkpoints.load_model(tmp_path / "out" / "model.pt", "cpu")[0].in_channels == 1


FLOW = ("--objective", "flow", "--schedule", "straight", "--levels", "middle", "--loss-weight", "min-snr")


@pytest.fixture(scope="module")
def flow(pictures, tmp_path_factory):
    """A run whose network answers with a velocity."""
    out = tmp_path_factory.mktemp("runs") / "flow"
    return out, run(pictures, out, *FLOW)


def test_a_flow_is_trained_kept_and_drawn(flow):
    out, state = flow
    config = state["config"]
    assert config["objective"] == "flow" and config["training"]["loss_weight"] == "min-snr"
    net, schedule, _ = checkpoints.load_model(out / "model.pt", "cpu")
    assert net.predicts == "flow" and schedule.ends_at_zero
    assert (out / "samples" / "epoch_0003.png").exists()
    how = {"model": Clipped(net, schedule), "schedule": schedule, "seed": 0, "progress": False}
    samples, _ = du.sample_dpm_context(4, torch.eye(2).repeat(2, 1), 10, eta=math.inf, **how)
    assert samples.isfinite().all() and samples.std() > 0.05


def test_a_flow_learns(pictures, tmp_path):
    more = ("--epochs", 30, "--lr", 3e-3, "--objective", "flow", "--schedule", "straight")
    losses = [loss for loss, _ in run(pictures, tmp_path / "out", *more)["losses"]]
    assert min(losses[-5:]) < 0.6 * losses[0]  # pictures of one colour: velocities of 1.2 in square at the start


def test_a_flow_goes_on_exactly(pictures, flow, tmp_path, monkeypatch):
    stop_at_step(monkeypatch, 6, KeyboardInterrupt())
    with pytest.raises(SystemExit):
        train.main(command(pictures, tmp_path / "out", *FLOW))
    monkeypatch.undo()
    AcceleratorState._reset_state(True)
    state = run(pictures, tmp_path / "out", *FLOW, "--resume")
    check_equal(state, flow[1])


def test_answers_do_not_mix(pictures, whole, flow, tmp_path, capsys):
    text = error_of(command(pictures, flow[0], "--resume", *FLOW[2:]), capsys)
    assert "expected an --objective x0, v, flow or edm with --schedule straight, which ends in pure noise" in text
    text = error_of(command(pictures, flow[0], "--resume", "--objective", "v", *FLOW[2:]), capsys)
    assert "is of another run: objective was 'flow', is now 'v'" in text
    text = error_of(command(pictures, tmp_path / "new", "--start", whole[0] / "model.pt", *FLOW), capsys)
    assert "answers with noise, not with flow: see --objective" in text


def test_runs_from_before_there_was_a_choice_go_on(pictures, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "old")
    state = checkpoints.read(tmp_path / "old" / "checkpoint.pt")
    del state["config"]["objective"], state["config"]["training"]["loss_weight"], state["config"]["training"]["levels"]
    torch.save(state, tmp_path / "old" / "checkpoint.pt")
    assert run(pictures, tmp_path / "old", "--resume", "--epochs", 4)["epoch"] == 4
