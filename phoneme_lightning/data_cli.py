"""phoneme-data: prepare a corpus, verify a store, look into it, train on what was predicted."""

import argparse
import difflib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from phoneme_lightning.corpora.quarantine import parse_share
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.errors import CommandParser, InputError, run_command

if TYPE_CHECKING:
    from phoneme_lightning.corpora.pieces import Recipe

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command `phoneme-data` and leave the process."""
    run_command(_run)


def _run() -> int | None:
    arguments = vars(_parser().parse_args())
    code: int | None = arguments.pop("command")(**arguments)
    return code


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="phoneme-data",
        description="Pack speech into frame stores, and look into them.",
        epilog="--debug, anywhere, shows the traceback of an error.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    prepare = _command(commands, "prepare", "Make a frame store from a corpus.")
    corpora = prepare.add_subparsers(required=True, metavar="CORPUS")

    libriphone = _command(
        corpora, "libriphone", "Pack libriphone as the course hands it out.", _prepare_libriphone
    )
    libriphone.add_argument(
        "source", type=Path, help="the folder libriphone, or the folder that holds it"
    )
    _add_out(libriphone, Path("data/libriphone"))
    _add_judgement(libriphone)
    _add_draw(libriphone)

    timit = _command(corpora, "timit", "Pack TIMIT, or its free sample.", _prepare_timit)
    timit.add_argument("source", type=Path, help="the folder that holds TRAIN and TEST")
    timit.add_argument(
        "--phones",
        type=int,
        choices=(61, 48, 39),
        default=48,
        help="classes to train, scored in 39 (default: 48)",
    )
    timit.add_argument("--sa", action="store_true", help="take sa1 and sa2 too, which all speak")
    _add_recordings(timit, Path("data/timit"))

    librispeech = _command(
        corpora, "librispeech", "Pack LibriSpeech with a forced alignment.", _prepare_librispeech
    )
    librispeech.add_argument("source", type=Path, help="a folder of its recordings")
    librispeech.add_argument(
        "--labels",
        type=Path,
        help="a text file with a class a frame, or a folder of TextGrids (default: in source)",
    )
    _add_recordings(librispeech, Path("data/librispeech"))

    folder = _command(
        corpora, "folder", "Pack recordings with an alignment file beside each.", _prepare_folder
    )
    folder.add_argument(
        "source", type=Path, help="the folder: sound, and .TextGrid, .phn, .ctm or .lab"
    )
    folder.add_argument("--phones", type=Path, help="a YAML file: which symbols are which phone")
    folder.add_argument("--licence", metavar="TEXT", help="of the recordings, for model cards")
    _add_recordings(folder, Path("data/own"))

    spoken = _command(
        corpora,
        "spoken",
        "Make the built-in corpus: sentences spoken by espeak-ng.",
        _prepare_spoken,
    )
    spoken.add_argument(
        "--minutes", type=float, default=60.0, help="how much speech to make (default: 60)"
    )
    _add_out(spoken, Path("data/spoken"))
    spoken.add_argument(
        "--workers", type=int, help="processes that speak at once (default: one a processor)"
    )

    merge = _command(commands, "merge", "Make one store of the shards of a prepare.", _merge)
    merge.add_argument("store", type=Path, help="the --out of the prepare")
    _add_judgement(merge)

    check = _command(commands, "check", "Verify a store against its manifest.", _check)
    _add_store(check)

    info = _command(
        commands, "info", "Say what is in a store: counts, splits, speakers, phones.", _info
    )
    _add_store(info)
    info.add_argument("--json", dest="as_json", action="store_true", help="print a JSON object")

    show = _command(commands, "show", "Draw an utterance: features, labels, predictions.", _show)
    _add_store(show)
    show.add_argument(
        "utterance", nargs="?", help="its id (default: the first of the validation split)"
    )
    show.add_argument(
        "--out", type=Path, help="the picture: .png, .pdf or .svg (default: <utterance>.png)"
    )
    show.add_argument(
        "--checkpoint", type=Path, help="draw this classifier's predictions under the labels"
    )

    pseudo = _command(
        commands,
        "pseudo-label",
        "Make a store that trains on the test utterances too, labelled by a prediction.",
        _pseudo_label,
    )
    _add_store(pseudo)
    pseudo.add_argument("prediction", type=Path, help="a prediction.csv of its test split")
    pseudo.add_argument("--out", type=Path, required=True, help="where the new store shall stand")
    return parser


def _command(
    parent: "argparse._SubParsersAction[CommandParser]",
    name: str,
    description: str,
    function: Callable[..., int | None] | None = None,
) -> CommandParser:
    parser = parent.add_parser(name, help=description, description=description)
    if function is not None:
        parser.set_defaults(command=function)
    return parser


def _add_store(parser: CommandParser) -> None:
    parser.add_argument("store", type=Path, help="the store's folder, such as data/libriphone")


def _add_out(parser: CommandParser, default: Path) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=default,
        help=f"where the store shall stand (default: {default})",
    )


def _add_judgement(parser: CommandParser) -> None:
    parser.add_argument(
        "--strict", action="store_true", help="refuse the corpus if anything in it is damaged"
    )
    parser.add_argument(
        "--max-bad",
        type=partial(parse_share, "--max-bad"),
        metavar="SHARE",
        default="1%",
        help="refuse it if a larger share is damaged, and more than two utterances; 1%% (the "
        "default) and 0.01 are the same; 0 allows none",
    )


def _add_draw(parser: CommandParser) -> None:
    parser.add_argument(
        "--validation-fraction",
        type=partial(parse_share, "--validation-fraction"),
        metavar="SHARE",
        default="10%",
        help="share of the training utterances that validation gets (default: 10%%)",
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, help="of the draw of the validation split (default: 0)"
    )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0 on")
    return int(text)


def _add_recordings(parser: CommandParser, out: Path) -> None:
    _add_out(parser, out)
    parser.add_argument(
        "--workers", type=int, help="processes that prepare at once (default: one a processor)"
    )
    parser.add_argument(
        "--shard", metavar="K/N", help="make only part K of N, as in an array job; then merge"
    )
    _add_judgement(parser)
    _add_draw(parser)


def _prepare_libriphone(source: Path, out: Path, **options: Any) -> None:
    from phoneme_lightning.corpora.libriphone import prepare_libriphone

    _announce(out)
    prepare_libriphone(source, out, **options)
    _conclude(out)


def _prepare_timit(source: Path, phones: int, sa: bool, **options: Any) -> None:
    from phoneme_lightning.corpora.timit import timit_recipe

    _prepare_recordings(partial(timit_recipe, source, phones=phones, sa=sa), **options)


def _prepare_librispeech(source: Path, labels: Path | None, **options: Any) -> None:
    from phoneme_lightning.corpora.librispeech import librispeech_recipe

    _prepare_recordings(partial(librispeech_recipe, source, labels=labels), **options)


def _prepare_folder(source: Path, phones: Path | None, licence: str | None, **options: Any) -> None:
    from phoneme_lightning.corpora.folder import folder_recipe

    _prepare_recordings(partial(folder_recipe, source, phones=phones, licence=licence), **options)


def _prepare_recordings(
    recipe: "Callable[..., Recipe]",
    out: Path,
    workers: int | None,
    shard: str | None,
    strict: bool,
    max_bad: float,
    **draw: Any,
) -> None:
    from phoneme_lightning.corpora.assemble import prepare_recordings
    from phoneme_lightning.corpora.pieces import parse_shard

    part = None if shard is None else parse_shard(shard)
    made = recipe(**draw)
    for key, names in made.lone.items():
        if names:
            some = ", ".join([*names[:5], *["..."] * (len(names) > 5)])
            print(f"{len(names):,} {key.replace('_', ' ')}: left out ({some})")
    if part is None:
        _announce(out)
    prepare_recordings(made, out, shard=part, workers=workers, strict=strict, max_bad=max_bad)
    if part is None:
        _conclude(out)
    else:
        print(f"shard {shard} of {out} is there; when all are: phoneme-data merge {out}")


def _merge(store: Path, strict: bool, max_bad: float) -> None:
    from phoneme_lightning.corpora.assemble import assemble

    _announce(store)
    assemble(store, strict=strict, max_bad=max_bad)
    _conclude(store)


def _prepare_spoken(minutes: float, out: Path, workers: int | None) -> None:
    from phoneme_lightning.corpora.spoken import prepare_spoken

    _announce(out)
    prepare_spoken(out, minutes=minutes, workers=workers)
    _conclude(out)


def _announce(out: Path) -> None:
    if (out / "manifest.json").is_file():
        print(f"{out} holds a store: it is replaced when the new one is whole")


def _conclude(out: Path) -> None:
    store = FrameStore(out)
    print(f"{out}: {len(store):,} utterances, {len(store.features):,} frames")
    if store.manifest["counts"].get("quarantined"):
        print(f"what was left out, and why: {out / 'quarantine.csv'}")
    if store.manifest["counts"].get("remarks"):
        print(f"what to know of the rest: {out / 'remarks.csv'}")


def _check(store: Path) -> int:
    from phoneme_lightning.corpora.check import check_store

    problems = check_store(store)
    for problem in problems:
        print(problem)
    print(f"{store}: {len(problems)} problem(s)" if problems else f"{store}: sound")
    return 1 if problems else 0


def _info(store: Path, as_json: bool) -> None:
    from phoneme_lightning.corpora.info import describe_store, print_description

    description = describe_store(FrameStore(store))
    if as_json:
        print(json.dumps(description, indent=2))
    else:
        print_description(description)


def _show(store: Path, utterance: str | None, out: Path | None, checkpoint: Path | None) -> None:
    from phoneme_lightning.corpora.picture import draw_utterance

    frames = FrameStore(store)
    position = _find(frames, utterance)
    predictions = None
    if checkpoint is not None:
        from phoneme_lightning.inference.predict import predict_utterance

        predictions = predict_utterance(checkpoint, frames, position)
    chosen = frames[position]
    picture = out or Path(f"{chosen.id}.png")
    print(draw_utterance(chosen, picture, predictions=predictions, phones=frames.phones))


def _pseudo_label(store: Path, prediction: Path, out: Path) -> None:
    from phoneme_lightning.corpora.pseudo import pseudo_label
    from phoneme_lightning.inference.submission import read_submission

    _announce(out)
    pseudo_label(FrameStore(store), read_submission(prediction), out)
    _conclude(out)
    made = FrameStore(out).manifest
    counts, left_out = made["counts"], made["settings"]["pseudo_labels"]["speakers_left_out"]
    print(
        f"{counts['pseudo_labelled']:,} test utterances to train on; "
        f"those of {len(left_out)} speakers of validation are not among them"
    )


def _find(store: FrameStore, utterance: str | None) -> int:
    if utterance is None:
        return int(store.split("utterance", "validation")[0])
    if utterance not in store.ids:
        near = ", ".join(difflib.get_close_matches(utterance, store.ids, cutoff=0.0))
        raise InputError(f"utterance is {utterance!r}, which is not in {store.path}: is it {near}?")
    return store.ids.index(utterance)
