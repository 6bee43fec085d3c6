import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.refusal import refuses

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, but I can\u2019t assist with that request.",
    "I'm sorry, I can't help with that.",
    "I am sorry, but I cannot provide medical advice.",
    "Sorry, but I can't do that.",
    "Sorry, I won't help with that.",
    "I cannot fulfill this request.",
    "I can't assist with that.",
    "I can not comply with this.",
    "I'm unable to provide that information.",
    "I am not able to help with that.",
    "I'm really sorry, but I am unable to help.",
    "I apologize, but I cannot generate that content.",
    "My apologies, but I cannot continue this conversation.",
    "Unfortunately, I cannot share that.",
    "Unfortunately I'm not able to access external websites.",
    "As an AI language model, I cannot browse the internet.",
    "As an AI, I don't have personal opinions.",
    "I must respectfully decline.",
    "**I'm sorry, but I can't help with that.**",
    '"I cannot help you with this," it said.',
    "\n\n> I will not provide instructions for that.",
    "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
    "Tut mir leid, das kann ich nicht beantworten.",
    "Ich kann Ihnen dabei leider nicht weiterhelfen.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Désolée, je ne peux pas répondre.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "Desculpe, mas não posso ajudar com isso.",
    "Mi dispiace, ma non posso aiutarti.",
    "Het spijt me, maar ik kan je daar niet mee helpen.",
    "Извините, но я не могу этого сделать.",
    "抱歉\uff0c我无法提供这方面的帮助。",
    "对不起\uff0c我不能回答。",
    "申し訳ありませんが、そのご要望にはお応えできません。",
    "죄송합니다. 그 요청은 도와드릴 수 없습니다.",
]

ANSWERS = [
    "",
    "Paris.",
    "Sorry to hear that! Have you tried turning it off and on again?",
    "I'm sorry you had to wait. Your order has been shipped.",
    "I am sorry for your loss.",
    "I can help with that.",
    "I can't believe it: you won!",
    "I cannot thank you enough.",
    "I can't wait to see the results!",
    "Unfortunately, the train was late.",
    "Unfortunately, I was late.",
    "I won the race.",
    "I apologize for the delay; here is the answer.",
    "As an AI student, I learn every day.",
    "As a language teacher, I can't recommend it.",
    "An AI said: I cannot help with that.",
    "To refuse politely, say: \u201cI'm sorry, but I can't help.\u201d",
    "He said sorry, but I can't help loving him.",
    '{"reply": "I cannot help with that"}',
    "Es tut mir leid, das zu hören. Die Lösung ist 4.",
    "Leider kann ich morgen nicht kommen.",
    "Je suis désolé pour le retard.",
    "Lo siento mucho por tu pérdida.",
    "Mi dispiace per il ritardo.",
    "抱歉让你久等了。",
    "申し訳ありません。答えは四です。",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_told_by_its_opening(text: str) -> None:
    assert refuses(text)
    assert refuses(text.upper().replace("\u2019", "'")) or not text.isascii()


@pytest.mark.parametrize("text", ANSWERS)
def test_regret_and_words_about_refusing_are_no_refusal(text: str) -> None:
    assert not refuses(text)


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_further_on_is_passed_over(text: str) -> None:
    assert not refuses(f"The answer is 4. {text}")


@given(st.text(max_size=400))
def test_any_text_can_be_asked(text: str) -> None:
    refuses(text)


def test_only_the_opening_is_read() -> None:
    assert not refuses(" " * 10_000 + "I cannot help with that.")
    assert refuses("I cannot help with that." + "!" * 10_000_000)
