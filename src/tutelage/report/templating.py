"""What pages have in common: the template engine, the style sheet.

No script, no network, no external file: the content policy of a page forbids them, and lets in the one style sheet
by its hash. Every text of a model or a user is escaped by the template engine.
"""

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tutelage.report import names, numbers
from tutelage.report.redact import visible


def page_environment() -> Environment:
    """Return the engine with the filters that every page needs."""
    environment = Environment(
        loader=PackageLoader("tutelage.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "said": visible,
        "rate": numbers.rate,
        "signed": numbers.signed,
        "count": numbers.count,
        "decimal": numbers.decimal,
        "share": numbers.share,
        "name": names.title,
        "symbol": names.symbol,
        "tone": names.tone,
    }
    environment.globals |= {"plural": numbers.plural}
    return environment


def page_style() -> tuple[Markup, str]:
    """Return the style sheet, and its hash for the content policy."""
    style = (files("tutelage.report") / "templates" / "page.css").read_text(encoding="utf-8")
    return Markup(style), base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
