"""Tables as text: on a terminal, in Markdown, LaTeX (booktabs) and CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from analysis.comparison.cells import OTHER_N, SINGULAR, Cell
from analysis.comparison.tables import Table

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "∞": r"$_\infty$", "–": "--",
    "↓": r"$\downarrow$", "↑": r"$\uparrow$", "→": r"$\rightarrow$", SINGULAR: r"$^\dagger$", OTHER_N: r"$^\ddagger$",
}  # fmt: skip


def markdown(tables: Sequence[Table]) -> str:
    """Tables in Markdown, each below its caption."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    lines = [[_escaped(name) for name in table.header], ["---"] + ["---:"] * (len(table.header) - 1)]
    lines += [[_markdown_cell(cell) for cell in row] for row in table.rows]
    return f"{table.caption}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_cell(cell: Cell) -> str:
    text = _escaped(cell.text) + cell.mark
    return f"{f'**{text}**' if cell.bold else text} {cell.interval}".strip()


def _escaped(text: str) -> str:
    for sign in ("\\", "|", "*", "_"):
        text = text.replace(sign, f"\\{sign}")
    return text


def latex(tables: Sequence[Table]) -> str:
    """Tables in LaTeX, for a preamble with \\usepackage{booktabs,graphicx}; wide ones shrink to the line."""
    return "% \\usepackage{booktabs,graphicx}\n" + "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    body = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows]
    if table.references:
        body.insert(-table.references, r"\midrule")
    lines = [
        r"\begin{table*}", r"\centering", rf"\caption{{{latex_text(table.caption)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}", r"\toprule",
        " & ".join(map(latex_text, table.header)) + r" \\", r"\midrule", *body,
        r"\bottomrule", r"\end{tabular}}", r"\end{table*}", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _latex_cell(cell: Cell) -> str:
    text = latex_text(cell.text)
    text = (rf"\textbf{{{text}}}" if cell.bold else text) + latex_text(cell.mark)
    return rf"\shortstack[r]{{{text}\\{{\scriptsize {latex_text(cell.interval)}}}}}" if cell.interval else text


def latex_text(text: str) -> str:
    """Text with what LaTeX would read as commands escaped."""
    return "".join(LATEX.get(sign, sign) for sign in text)


def comma_separated(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV under all the names that any of them has; what a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def show(tables: Sequence[Table]) -> None:
    """Prints tables: ruled on a terminal, as Markdown into a file or pipe."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        print(markdown(tables))
        return
    for table in tables:
        console.print(_rich(table))


def _rich(table: Table):
    from rich.markup import escape
    from rich.table import Table as RichTable

    drawn = RichTable(title=escape(table.caption), title_justify="left", title_style="")
    for i, name in enumerate(table.header):
        drawn.add_column(escape(name), justify="right" if i else "left")
    for i, row in enumerate(table.rows):
        words = [escape(f"{cell.text}{cell.mark}\n{cell.interval}".strip()) for cell in row]
        bold = [f"[bold]{text}[/bold]" if cell.bold else text for text, cell in zip(words, row, strict=True)]
        drawn.add_row(*bold, end_section=i == len(table.rows) - table.references - 1)
    return drawn
