"""Rules on the roles: what is scientific, what is nuisance, what is fixed, and between arms."""

from collections.abc import Iterator

from phoneme_lightning.sweep.keys import LEARNING_RATE
from phoneme_lightning.sweep.lint_rules.case import Case, Found, Rule

__all__ = ["RULES"]

BATCH_SIZE = ("data.frames_per_batch", "trainer.accumulate_grad_batches")
LENGTH = ("trainer.max_steps", "trainer.max_epochs")
STRENGTHS = (".weight_decay", "dropout", "label_smoothing", ".mixup", ".noise", ".stretch")
MOST_VALUES = 8


def batch_size(case: Case) -> Iterator[Found]:
    """Batch size is chosen for speed."""
    for key in BATCH_SIZE:
        if case.tunes(dict(case.spaces), key):
            yield (
                "error",
                key,
                "batch size is no hyperparameter to tune for quality: choose the largest that "
                "still trains faster, and move the key to fixed",
            )
    for key in case.varied:
        if key in BATCH_SIZE:
            yield (
                "warning",
                key,
                "batch sizes compare fairly only when each is tuned anew and gets the same steps; "
                "choose it by speed instead, unless it is the question itself",
            )


def length_is_tuned(case: Case) -> Iterator[Found]:
    """One length for all trials of an arm."""
    for key in LENGTH:
        if case.tunes(dict(case.spaces), key):
            yield (
                "error",
                key,
                "the length of training must not be tuned inside a round, for longer mostly wins: "
                "set training.steps, or make the lengths scientific",
            )


def length_without_learning_rate(case: Case) -> Iterator[Found]:
    """Each length has its own best learning rate."""
    lengths = [key for key in LENGTH if key in case.varied]
    if lengths and not case.tuned_somewhere(LEARNING_RATE):
        yield (
            "warning",
            lengths[0],
            f"each length has a learning rate of its own: add {LEARNING_RATE} to nuisance",
        )


def optimizer_setting_is_scientific(case: Case) -> Iterator[Found]:
    """Optimizer hyperparameters are nuisance."""
    for key in case.varied:
        if key.startswith("model.optimizer.init_args.") and not key.endswith(STRENGTHS):
            yield (
                "warning",
                key,
                "a setting of the optimizer is rarely worth a question, since its best value "
                "moves with everything else: make it nuisance",
            )


def learning_rate_is_fixed(case: Case) -> Iterator[Found]:
    """What interacts with the question is tuned."""
    asked = [key for key in case.varied if key.startswith(("model.", "data."))]
    if asked and not case.tuned_somewhere(LEARNING_RATE):
        yield (
            "warning",
            LEARNING_RATE,
            f"fixed, it favours the {asked[0]} that it happens to suit: make it nuisance",
        )


def strength_is_scientific(case: Case) -> Iterator[Found]:
    """Whether to regularise is a question; how much is nuisance."""
    for key, values in case.varied.items():
        if key.endswith(STRENGTHS) and not (0 in values and len(values) == 2):
            yield (
                "info",
                key,
                "a regulariser's strength is mostly nuisance: ask whether it helps (0 against a "
                "strength tuned under conditional), if that is the question",
            )


def choice_is_nuisance(case: Case) -> Iterator[Found]:
    """Which optimizer and which net are questions, not noise."""
    for key, _ in case.spaces:
        if case.round.phase == "explore" and key.endswith(".class_path"):
            yield (
                "warning",
                key,
                "choices of an optimizer or a net need their own tuning to be compared: make it "
                "scientific",
            )


def caveats(case: Case) -> Iterator[Found]:
    """What is held still limits the answer."""
    noted = " ".join(case.round.caveats).lower()
    for key, value in case.round.fixed.items():
        name = key.rsplit(".", 1)[-1].lower()
        if name not in noted and name.replace("_", " ") not in noted:
            yield (
                "info",
                f"fixed.{key}",
                f"the answer holds for {value!r} and may not carry over: say so under caveats",
            )


def one_arm(case: Case) -> Iterator[Found]:
    """A question has at least two answers."""
    for key, one in case.round.scientific.items():
        if len(one.values or ()) == 1 or (one.range and one.buckets < 2):
            yield (
                "warning",
                f"scientific.{key}",
                "one arm leaves nothing to compare: add a value, or move the key to fixed",
            )


def many_values(case: Case) -> Iterator[Found]:
    """Many numbers are a range in buckets."""
    for key, values in case.varied.items():
        numbers = [value for value in values if type(value) in (int, float)]
        if len(set(numbers)) > MOST_VALUES:
            yield (
                "info",
                f"scientific.{key}",
                f"{len(set(numbers))} arms each need all the points: a range with buckets covers "
                "the same numbers with fewer fits",
            )


def unequal_arms(case: Case) -> Iterator[Found]:
    """The baseline is tuned as well as what it is compared with."""
    if not any(spaces for _, spaces in case.arms):
        return
    rates = [case.tunes(spaces, LEARNING_RATE) for _, spaces in case.arms]
    for (arm, spaces), has_rate in zip(case.arms, rates, strict=True):
        lacks = "nothing" if not spaces else "no learning rate"
        asked = LEARNING_RATE in case.varied or "trainer.max_steps" in arm.settings
        if not spaces or (any(rates) and not has_rate and not asked):
            yield (
                "warning",
                f"arm {arm.name}",
                f"it tunes {lacks} while another arm does, so it loses for want of tuning: give "
                "it a space of its own under conditional",
            )


def shared_range(case: Case) -> Iterator[Found]:
    """Same name, other hyperparameter."""
    seen: dict[str, tuple[str, object]] = {}
    for arm, spaces in case.arms:
        optimizer, space = case.optimizer(arm), spaces.get(LEARNING_RATE)
        for other, (name, theirs) in seen.items():
            if space and other != optimizer and theirs == space:
                yield (
                    "warning",
                    LEARNING_RATE,
                    f"arms {name} and {arm.name} share one range, but good rates of two "
                    "optimizers lie orders of magnitude apart: give each its own under "
                    "conditional",
                )
                return
        seen.setdefault(optimizer, (arm.name, space))


RULES: dict[str, Rule] = {
    "A4 batch size": batch_size,
    "F2 length as nuisance": length_is_tuned,
    "F4 length and learning rate": length_without_learning_rate,
    "C2 optimizer setting": optimizer_setting_is_scientific,
    "C2 fixed learning rate": learning_rate_is_fixed,
    "C2 regulariser strength": strength_is_scientific,
    "C2 choice as nuisance": choice_is_nuisance,
    "C1 caveat": caveats,
    "C4 one arm": one_arm,
    "C4 many values": many_values,
    "D5 unequal arms": unequal_arms,
    "C3 shared range": shared_range,
}
