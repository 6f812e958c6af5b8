"""Languages that :mod:`tutelage.text.language` tells apart: their names, and which it takes for one another.

Names alone, so that recipes read them without loading the identifier.
"""

_PAIRS = (
    "af:Afrikaans am:Amharic an:Aragonese ar:Arabic as:Assamese az:Azerbaijani be:Belarusian bg:Bulgarian "
    "bn:Bengali br:Breton bs:Bosnian ca:Catalan cs:Czech cy:Welsh da:Danish de:German dz:Dzongkha el:Greek "
    "en:English eo:Esperanto es:Spanish et:Estonian eu:Basque fa:Persian fi:Finnish fo:Faroese fr:French ga:Irish "
    "gl:Galician gu:Gujarati he:Hebrew hi:Hindi hr:Croatian ht:Haitian hu:Hungarian hy:Armenian id:Indonesian "
    "is:Icelandic it:Italian ja:Japanese jv:Javanese ka:Georgian kk:Kazakh km:Khmer kn:Kannada ko:Korean ku:Kurdish "
    "ky:Kyrgyz la:Latin lb:Luxembourgish lo:Lao lt:Lithuanian lv:Latvian mg:Malagasy mk:Macedonian ml:Malayalam "
    "mn:Mongolian mr:Marathi ms:Malay mt:Maltese nb:Norwegian ne:Nepali nl:Dutch nn:Nynorsk no:Norwegian oc:Occitan "
    "or:Odia pa:Punjabi pl:Polish ps:Pashto pt:Portuguese qu:Quechua ro:Romanian ru:Russian rw:Kinyarwanda se:Sami "
    "si:Sinhala sk:Slovak sl:Slovenian sq:Albanian sr:Serbian sv:Swedish sw:Swahili ta:Tamil te:Telugu th:Thai "
    "tl:Tagalog tr:Turkish ug:Uyghur uk:Ukrainian ur:Urdu vi:Vietnamese vo:Volapük wa:Walloon xh:Xhosa zh:Chinese "
    "zu:Zulu"
)
NAMES = dict(pair.split(":") for pair in _PAIRS.split())
"""English names by ISO 639-1 code."""

_KIN = ("no nb nn da", "hr bs sr", "id ms jv", "cs sk", "hi mr ne", "xh zu", "be ru uk", "bg mk", "af nl", "fa ps ur")
_SMALLER = {"es": {"gl", "an", "ca"}, "fr": {"wa", "oc"}, "de": {"lb"}, "pt": {"gl"}, "ca": {"oc"}, "it": {"la"}}


def near(code: str) -> set[str]:
    """Return the languages that a short text of ``code`` may be taken for."""
    kin = {other for group in _KIN if code in group.split() for other in group.split()}
    return (kin | _SMALLER.get(code, set())) - {code}
