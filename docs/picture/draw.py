"""Draws what a terminal shows as an SVG: reads the output of `tmux capture-pane -e -p`, writes the picture.

    python3 docs/picture/draw.py < screen > transfer.svg
"""

import re
import sys
from html import escape

COLUMN, ROW, MARGIN = 8.4, 18, 16
FOREGROUND, BACKGROUND = "#d6deeb", "#161b22"
# The sixteen colours of a terminal, those that are bright last.
COLOURS = ["#484f58", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#d6deeb",
           "#8b949e", "#ffa198", "#7ee787", "#f2cc60", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#ffffff"]
SGR = re.compile(r"\x1b\[([0-9;]*)m")
CELL = re.compile(r"\S+( \S+)*")
OTHER = re.compile(r"\x1b(\[[0-9;?]*[A-Za-ln-z]|\(B|\x0f)")


class Style:
    def __init__(self):
        self.reset()

    def reset(self):
        self.colour, self.bold, self.dim = None, False, False

    def take(self, codes):
        codes = [int(code or 0) for code in codes.split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code == 1:
                self.bold = True
            elif code == 2:
                self.dim = True
            elif code == 22:
                self.bold = self.dim = False
            elif code == 38 and codes[:1] == [5]:
                self.colour, codes = codes[1] % 16, codes[2:]
            elif code == 39:
                self.colour = None
            elif 30 <= code <= 37:
                self.colour = code - 30
            elif 90 <= code <= 97:
                self.colour = code - 82

    def attributes(self):
        fill = FOREGROUND if self.colour is None else COLOURS[self.colour]
        weight = ' font-weight="bold"' if self.bold else ""
        return f'fill="{fill}"{weight}' + (' opacity="0.6"' if self.dim else "")


def runs(line, style):
    """The pieces of a line, each with the column where it begins: columns of a table stay below each other in any font."""
    column = 0
    for index, piece in enumerate(SGR.split(OTHER.sub("", line))):
        if index % 2:
            style.take(piece)
        else:
            for cell in CELL.finditer(piece):
                yield column + cell.start(), cell.group(), style.attributes()
            column += len(piece)


def draw(screen):
    lines = screen.rstrip("\n").split("\n")
    columns = max(len(SGR.sub("", OTHER.sub("", line)).rstrip()) for line in lines)
    width, height = round(2 * MARGIN + columns * COLUMN), 2 * MARGIN + len(lines) * ROW
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
           ' font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="14">',
           f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>']
    style = Style()
    for row, line in enumerate(lines):
        for column, text, attributes in runs(line, style):
            x, y = MARGIN + column * COLUMN, MARGIN + row * ROW + 13
            out.append(f'<text x="{x:.1f}" y="{y}" textLength="{len(text) * COLUMN:.1f}" lengthAdjust="spacingAndGlyphs"'
                       f' xml:space="preserve" {attributes}>{escape(text)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(draw(sys.stdin.read()))
