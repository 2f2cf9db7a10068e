"""Write what kept rounds showed into pages of docs/: `python results/tell_story.py`.

Between `<!-- KIND: ROUND -->` and `<!-- end -->` stands what the folder results/rounds/ROUND holds:
its question with the answer and its arms, these alone, its findings, the lines of its file that
differ from its parent's, or its confirmation.
"""

import json
import re
from pathlib import Path

from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.leaderboard import arm_rows
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.records import read_records
from phoneme_lightning.sweep.report.answer import answer

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "docs/story.md", ROOT / "docs/recipes.md")
PART = re.compile(r"(<!-- (\w+): ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def arms(folder: RoundFolder) -> list[str]:
    """Give a table of the best trial of each arm."""
    round = load_round(folder)
    records = read_records(folder, round.objective, round.retry.attempts)
    lines = ["| arm | best | trial | completed | infeasible |", "|---|---|---|---|---|"]
    for row in arm_rows(records, round.objective):
        best = row[round.objective.selection]
        shown = (f"{best:.4f}" if best else "", row["trial"] or "")
        cells = (row["arm"], *shown, row["completed"], row["infeasible"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def question(folder: RoundFolder) -> list[str]:
    """Give a round's question, how it was asked, its answer and its arms."""
    evidence = read_evidence(folder)
    round = evidence.round
    found = json.loads((folder.path / "findings.json").read_text("utf-8"))
    told = answer(evidence, [Finding(**one) for one in found])
    seeds = len(round.seeds)
    asked = (
        f"{round.budget.points} points an arm, {round.training.steps:,} steps, "
        f"{seeds} seed{'s' if seeds > 1 else ''}."
    )
    sentence = " ".join((told.sentence, *told.details))
    return [f"**{round.goal.question}** {sentence}", "", asked, "", *arms(folder)]


def findings(folder: RoundFolder) -> list[str]:
    """Give a table of the findings that are not in order; name the others."""
    told = json.loads((folder.path / "findings.json").read_text("utf-8"))
    lines = ["| verdict | rule | what was found |", "|---|---|---|"]
    loud = [one for one in told if one["verdict"] != "ok"]
    lines += [f"| {one['verdict']} | {one['rule']} | {one['sentence']} |" for one in loud]
    quiet = dict.fromkeys(one["rule"] for one in told if one["verdict"] == "ok")
    return [*lines, "", f"Nothing to object to: {', '.join(quiet)}."]


def draft(folder: RoundFolder) -> list[str]:
    """Give the lines of a drafted round file that say why they are new, and what they stand in."""
    kept: list[str] = []
    above: list[tuple[int, str]] = []  # indent and text of what is not written yet
    for line in folder.source.read_text("utf-8").splitlines():
        if line.lstrip().startswith("#"):
            continue
        text, _, why = line.partition("  # ")
        indent = len(text) - len(text.lstrip())
        above = [one for one in above if one[0] < indent]
        if why and not why.startswith("as in "):
            kept += [*(one for _, one in above), line]
            above = []
        elif text.rstrip().endswith(":"):
            above.append((indent, text.rstrip()))
    return ["```yaml", *kept, "```"]


def confirmation(folder: RoundFolder) -> list[str]:
    """Give the verdict of a confirm round and the gain of each seed."""
    told = json.loads((folder.path / "confirmation.json").read_text("utf-8"))
    lines = ["| seed | gain |", "|---|---|"]
    lines += [f"| {seed} | {gain:+.4f} |" for seed, gain in told["differences"].items()]
    lines += ["", told["why"]]
    candidate, baseline = told["values"]
    return [*lines, "", f"Means: candidate {candidate:.4f}, baseline {baseline:.4f}."]


KINDS = {
    "question": question,
    "arms": arms,
    "findings": findings,
    "draft": draft,
    "confirmation": confirmation,
}


def tell(text: str) -> str:
    """Fill the parts of the page."""

    def fill(part: "re.Match[str]") -> str:
        begin, kind, name, end = part.groups()
        folder = RoundFolder(ROOT / "results/rounds" / name)
        return f"{begin}\n" + "\n".join(KINDS[kind](folder)) + f"\n\n{end}"

    return PART.sub(fill, text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(tell(page.read_text("utf-8")), encoding="utf-8")
