"""Phone numbers as people write them, turned into the digits of E.164; what cannot be told for certain is refused."""

import re
import unicodedata

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType, ValidationResult

from core.contacts.identities import phone_in
from core.contacts.quick_numbers import quick_number
from core.texts import Text, text

DEFAULT_COUNTRY = "BR"
MAXIMUM_DIGITS = 15
"""Of E.164, country code included."""

BRAZIL = 55
OLD_MOBILE_DIGITS = 10
"""Area code and eight digits: a Brazilian mobile number as it was before the ninth digit."""

_SCIENTIFIC = re.compile(r"\+?\d+(?:[.,]\d+)?[eE]\+?\d+")
_WHOLE_AS_DECIMAL = re.compile(r"(?P<whole>\+?\d+)[.,]0+")
_SCHEME = re.compile(r"^(?:tel|whatsapp):\s*", re.IGNORECASE)
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
_WRITTEN = re.compile(r"\+?[\d\s().\-/]+")


class UnusableNumberError(ValueError):
    """The text is no number one could write to; ``str(error)`` says why, ``code`` names the case for programs."""

    def __init__(self, code: str, reason: Text) -> None:
        super().__init__(reason)
        self.code = code


def is_country(code: str) -> bool:
    """Whether ``code`` is a country (ISO 3166, such as ``BR``) whose numbers are known."""
    return code in phonenumbers.SUPPORTED_REGIONS


def normalize_number(written: str, country: str = DEFAULT_COUNTRY) -> str:
    """Return the E.164 digits, without the plus, of a number written in any usual way.

    Numbers without a country code are taken to be of ``country``. A Brazilian mobile number without its ninth digit
    stays as it is: whether that account exists is for the number check to say.

    Raises:
        UnusableNumberError: Digits are missing, lost to a spreadsheet, or belong to no country.
    """
    return quick_number(written, country) or normalize_carefully(written, country)


def normalize_carefully(written: str, country: str) -> str:
    """Do what ``normalize_number`` does without the short way for numbers as most files have them."""
    number = _parse(_plain(written), country)
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.PREMIUM_RATE:
        raise UnusableNumberError("premium_rate", text("number_premium"))
    if kind == PhoneNumberType.UNKNOWN and not _is_old_brazilian_mobile(number):
        raise _refusal(number)
    return f"{number.country_code}{phonenumbers.national_significant_number(number)}"


def _plain(written: str) -> str:
    """Take off what a copy brings along, and refuse what is no number at all."""
    folded = unicodedata.normalize("NFKC", written).translate(_DASHES)
    # Invisible marks of direction come with numbers that are copied from WhatsApp.
    plain = "".join(char for char in folded if unicodedata.category(char) != "Cf").strip().removeprefix("'").strip()
    plain = _SCHEME.sub("", plain).replace("(+", "+(")
    if not plain:
        raise UnusableNumberError("empty", text("number_empty"))
    if _SCIENTIFIC.fullmatch(plain):
        raise UnusableNumberError("scientific", text("number_exponent"))
    digits = phone_in(plain)
    if digits:
        return f"+{digits}"
    decimal = _WHOLE_AS_DECIMAL.fullmatch(plain)
    if decimal is not None:
        plain = decimal["whole"]
    if any(char.isalpha() for char in plain):
        raise UnusableNumberError("letters", text("number_letters"))
    if not _WRITTEN.fullmatch(plain):
        raise UnusableNumberError("characters", text("number_characters"))
    return plain


def _parse(written: str, country: str) -> PhoneNumber:
    digits = re.sub(r"\D", "", written)
    international = written.startswith("+") or digits.startswith("00")
    digits = digits.removeprefix("00") if not written.startswith("+") else digits
    if len(digits) > MAXIMUM_DIGITS:
        raise UnusableNumberError("too_long", text("number_digits"))
    number = _try_parse(f"+{digits}" if international else digits, country)
    if international or phonenumbers.is_possible_number_with_reason(number) != ValidationResult.TOO_LONG:
        return number
    # Too long for a number of that country, so its first digits can only be a country code.
    with_code = _try_parse(f"+{digits}", country)
    return with_code if phonenumbers.is_valid_number(with_code) else number


def _try_parse(written: str, country: str) -> PhoneNumber:
    try:
        return phonenumbers.parse(written, country)
    except NumberParseException as error:
        if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
            raise UnusableNumberError("country_code", text("number_country")) from None
        raise _too_short() from None


def _is_old_brazilian_mobile(number: PhoneNumber) -> bool:
    national = phonenumbers.national_significant_number(number)
    if number.country_code != BRAZIL or len(national) != OLD_MOBILE_DIGITS:
        return False
    with_ninth_digit = PhoneNumber(country_code=BRAZIL, national_number=int(f"{national[:2]}9{national[2:]}"))
    return national[2] in "6789" and bool(phonenumbers.is_valid_number(with_ninth_digit))


def _refusal(number: PhoneNumber) -> UnusableNumberError:
    match phonenumbers.is_possible_number_with_reason(number):
        case ValidationResult.TOO_SHORT | ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            return _too_short()
        case ValidationResult.TOO_LONG:
            return UnusableNumberError("too_long", text("number_long"))
    return UnusableNumberError("not_in_use", text("number_not_in_use"))


def _too_short() -> UnusableNumberError:
    return UnusableNumberError("too_short", text("number_short"))
