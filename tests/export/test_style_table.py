"""Tables of styles."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


from export.data.style_table import read_styles
from export.errors import ExportError


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("picture,name\na.png,a\n", "lacks title, artist, year, licence"),
        ("", "lists no styles"),
        ("picture,name,title,artist,year,licence\na,n,t,a,y,l\nb,m\n", "style 2 .* lacks title"),
        ("picture,name,title,artist,year,licence\na,n,t,a,y,l\nb,n,t,a,y,l\n", "the same name"),
        ("picture,name,title,artist,year,licence,size\na,n,t,a,y,l,big\n", "is not a number"),
        ("picture,name,title,artist,year,licence,share\na,n,t,a,y,l,-1\n", "must be above 0"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, table: str, words: str) -> None:
    path = tmp_path / "styles.csv"
    path.write_text(table)
    with pytest.raises(ExportError, match=words):
        read_styles(path, tmp_path)
