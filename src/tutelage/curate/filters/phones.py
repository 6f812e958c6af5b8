"""Phone numbers by the rules of every country (phonenumbers, the port of Google's libphonenumber)."""

import re
from collections.abc import Sequence

from tutelage.curate.extras import load_extra
from tutelage.errors import Problem, RecipeError
from tutelage.text.personal import Finder, Spans

# 555-0100 to 555-0199 of North America are for films and books.
FICTION = re.compile(r"1?\d{3}55501\d\d")


def phone_finder(regions: Sequence[str] = ()) -> Finder:
    """Return a finder of numbers that are valid: with a country code, or as written in one of ``regions`` (ISO 3166).

    Raises
    ------
    MissingExtra: phonenumbers is not installed. RecipeError: it knows no such region.
    """
    library = load_extra("phonenumbers", "finding phone numbers")
    if unknown := [region for region in regions if region not in library.SUPPORTED_REGIONS]:
        remedy = "write the two letters of a country, such as US or DE"
        problems = [Problem("no phone numbers of this region are known", "regions", one, remedy) for one in unknown]
        raise RecipeError("curate", problems)

    def find(text: str) -> Spans:
        for region in (None, *regions):
            for match in library.PhoneNumberMatcher(text, region, leniency=library.Leniency.VALID):
                number = match.number
                if not (number.country_code == 1 and FICTION.fullmatch(str(number.national_number))):
                    yield match.start, match.end

    return find
