"""Refusals: answers that open with the words models decline with. A heuristic.

Only the opening is read, and only phrases that speak of the speaker's own inability count; a text
that merely regrets something, or quotes a refusal further on, is not one. It misses refusals in
other words and other languages. A false alarm costs one call to the teacher.
"""

import re

_OPENING = 240
"""Characters that are read."""

_REGRET = (
    r"(?:(?:i'm|i am) (?:very |so |really |truly )?sorry|sorry|i apologi[sz]e|(?:my )?apologies"
    r"|unfortunately|regrettably)[,.;:!]? *(?:(?:but|however),? *)?"
)
_AS_AN_AI = r"as an? (?:ai|artificial intelligence|(?:large )?language model)\b[^.!?\n]{0,40}?,? "
_CANNOT = r"(?: can(?:not|'?t| not)| won'?t| will not|(?: am|'m) (?:not able|unable) to)"
_TASK = (
    r"(?:help|assist|provide|comply|fulfil|answer|do (?:that|this|so)|continue|support|create"
    r"|generate|write|offer|engage|discuss|produce|participate|give|respond|advise|complete"
    r"|proceed|process|perform|share|promote|encourage|condone|tell you|access|browse)"
)
_ENGLISH = (
    rf"(?:{_REGRET})?(?:{_AS_AN_AI})?i{_CANNOT} (?:\w+ ){{0,2}}?{_TASK}"
    rf"|{_AS_AN_AI}i (?:do not|don't) (?:have|hold|feel|possess)"
    r"|i must (?:respectfully )?decline"
)
_GERMAN = (
    r"(?:es )?tut mir leid,? (?:aber )?(?:ich kann|(?:das|dabei|damit) kann ich|ich darf)\b"
    r"[^.!?\n]{0,60}\b(?:nicht|kein\w*)\b"
    r"|(?:leider )?(?:kann ich|ich kann) (?:(?:dir|ihnen|euch) )?(?:leider )?"
    r"(?:dabei|damit|hierbei) (?:leider )?nicht (?:weiter)?helfen"
)
_FRENCH = (
    r"(?:je suis )?(?:vraiment )?désolée?,? (?:mais )?je ne (?:peux|suis pas en mesure|pourrai)"
    r"|je ne peux pas (?:vous |t')?(?:aider|fournir|répondre|assister)"
)
_SPANISH = (
    r"lo siento,? (?:pero )?no puedo (?:ayudar|proporcionar|responder|cumplir|hacer|generar|crear"
    r"|ofrecer|continuar)"
    r"|no puedo (?:ayudarte|ayudarle|proporcionar|cumplir con)"
)
_PORTUGUESE = (
    r"(?:desculpe|sinto muito|lamento),? (?:mas )?(?:eu )?não posso (?:ajudar|fornecer|responder"
    r"|cumprir|fazer|criar|gerar|continuar)"
)
_ITALIAN = (
    r"mi dispiace,? (?:ma )?non posso (?:aiutar|fornire|rispondere|soddisfare|fare|creare"
    r"|generare|continuare)"
)
_DUTCH = r"(?:het spijt me|sorry),? (?:maar )?(?:ik kan|daar kan ik)\b[^.!?\n]{0,60}\bniet\b"
_RUSSIAN = (
    r"(?:извините|простите|к сожалению),? (?:но )?я не (?:могу|в состоянии)"
    r"|я не могу (?:помочь|предоставить|выполнить|ответить)"
)
_CHINESE = (
    r"(?:很?抱歉|对不起)[,\uff0c]? ?(?:但是?)?我(?:无法|不能|没办法)"
    r"|我(?:无法|不能)(?:提供|协助|帮助|回答|满足)"
)
_JAPANESE = r"申し訳(?:ありません|ございません)[^。\n]{0,60}(?:できません|いたしかねます)"
_KOREAN = r"(?:죄송합니다|죄송하지만)[^\n]{0,60}(?:수 없습니다|어렵습니다)"

_LANGUAGES = (
    *(_ENGLISH, _GERMAN, _FRENCH, _SPANISH, _PORTUGUESE, _ITALIAN, _DUTCH),
    *(_RUSSIAN, _CHINESE, _JAPANESE, _KOREAN),
)
_REFUSAL = re.compile("|".join(_LANGUAGES))
_DRESSING = " \t\r\n*_#>\"'`-\u201c\u2018"
"""Markup and quotes before the first word."""


def refuses(text: str) -> bool:
    """Whether the text opens as a refusal does. Bounded time: only the opening is read."""
    opening = text[: 2 * _OPENING].lstrip(_DRESSING)[:_OPENING]
    return _REFUSAL.match(opening.replace("\u2019", "'").casefold()) is not None
