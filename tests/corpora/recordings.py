"""Small corpora of recordings in the layouts of TIMIT, LibriSpeech and one's own folder."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
SECONDS = 0.8


def write_sound(path, *, seconds=SECONDS, rate=RATE, channels=1, seed=0, **how):
    """Write a noise that grows and fades; give its samples."""
    draw = np.random.default_rng(seed)
    count = round(seconds * rate)
    sound = 0.1 * draw.normal(size=(count, channels)) * np.hanning(max(1, count))[:, None]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, **how)
    return sound


def draw_intervals(symbols, *, seconds=SECONDS, seed=0, first="", count=6):
    """Draw (begin, end, symbol), end to end."""
    draw = np.random.default_rng(seed)
    edges = np.linspace(0, seconds, count + 1)
    edges[1:-1] += draw.uniform(-0.03, 0.03, size=count - 1)
    drawn = [first, *draw.choice(symbols, size=count - 1)]
    return [(a, b, str(x)) for a, b, x in zip(edges, edges[1:], drawn, strict=False)]


def textgrid(**tiers):
    """Give the text of a TextGrid, in Praat's long form."""
    end = max([b for intervals in tiers.values() for _, b, _ in intervals], default=1.0)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        *("xmin = 0", f"xmax = {end}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"),
    ]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"']
        lines += [f'        name = "{name}"', "        xmin = 0", f"        xmax = {end}"]
        lines += [f"        intervals: size = {len(intervals)}"]
        for place, (a, b, symbol) in enumerate(intervals, start=1):
            lines += [f"        intervals [{place}]:", f"            xmin = {a}"]
            lines += [f"            xmax = {b}", f'            text = "{symbol}"']
    return "\n".join(lines) + "\n"


def write_timit(root, *, whole=False):
    """Write six speakers' three sentences each; `whole`: in the LDC's layout, NIST spheres."""
    speakers = ["fcjf0", "mdab0", "faks0", "mzzz0", "mcpm0", "fdaw0"]
    for number, speaker in enumerate(speakers):
        part = "TEST" if number in (1, 2, 3) else "TRAIN"
        folder = root / part / "DR1" / speaker.upper() if whole else root / f"dr1-{speaker}"
        for index, sentence in enumerate(("sa1", "sx10", "si20")):
            stem = folder / (sentence.upper() if whole else sentence)
            sound, phn = (stem.with_suffix(x.upper() if whole else x) for x in (".wav", ".phn"))
            seed = 10 * number + index
            write_sound(sound, seed=seed, format="NIST" if whole else "WAV", subtype="PCM_16")
            intervals = draw_intervals(["iy", "q", "tcl", "ax-h", "zh"], seed=seed, first="h#")
            lines = [f"{round(a * RATE)} {round(b * RATE)} {x}" for a, b, x in intervals]
            phn.write_text("\n".join(lines) + "\n")
    return root


def write_librispeech(root, *, grids=False):
    """Write nine recordings of three speakers, labelled a line each or by TextGrids."""
    lines = []
    for number in range(9):
        name = f"{100 + number % 3}-7-{number:04}"
        folder = root / "LibriSpeech" / name.split("-")[0] / "7"
        write_sound(folder / f"{name}.flac", seed=number)
        if grids:
            intervals = draw_intervals(["AH0", "IY1", "S", "spn"], seed=number)
            text = textgrid(words=[(0, SECONDS, "word")], phones=intervals)
            (root / "aligned").mkdir(exist_ok=True)
            (root / "aligned" / f"{name}.TextGrid").write_text(text, encoding="utf-8")
        else:
            frames = (round(SECONDS * RATE) - 400) // 160 + 1
            labels = np.random.default_rng(number).integers(41, size=frames)
            lines.append(" ".join(map(str, [name, *labels])))
    if lines:
        (root / "phone_labels.txt").write_text("\n".join(lines) + "\n")
    return root


def write_folder(root):
    """Write three speakers' recordings, each beside an alignment of another kind."""
    for number, speaker in enumerate(["anna", "bea", "cleo"]):
        for index in range(4):
            seed = 10 * number + index
            stem = root / speaker / f"take{index}"
            write_sound(stem.with_suffix(".wav"), seed=seed, rate=22_050)
            rows = draw_intervals(["a", "ʃ", "t"], seed=seed)
            if index == 0:
                text, ending = textgrid(**{f"{speaker} - phones": rows}), ".TextGrid"
            elif index == 1:
                text = "".join(f"{stem.name} 1 {a} {b - a} {x or 'sil'}\n" for a, b, x in rows)
                ending = ".ctm"
            elif index == 2:
                text = "".join(f"{a:.4f} {b:.4f} {x or 'sil'}\n" for a, b, x in rows)
                ending = ".lab"
            else:
                units = [(round(a * 1e7), round(b * 1e7), x or "sil") for a, b, x in rows]
                text, ending = "".join(f"{a} {b} {x}\n" for a, b, x in units), ".lab"
            stem.with_suffix(ending).write_text(text, encoding="utf-8")
    rules = 'phones:\n  SIL: ["", sil]\n  a: a\n  sh: ʃ\nignore: [t]\n'
    (root / "phones.yaml").write_text(rules, encoding="utf-8")
    return root
