"""Synthetic paraphrase and similarity tasks: news sentences (mrpc) and graded similarity (stsb)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from random import Random

from harness.data.sources.synthetic.lexicon import (
    CITIES,
    FRAMES,
    MONTHS,
    NUMBERS,
    PEOPLE,
    PLACES,
    WEEKDAYS,
    Frame,
    other,
    participle,
    past,
    sentence,
)

# --- mrpc -----------------------------------------------------------------------------------------------------------

Pair = tuple[str, str]
_WHEN = tuple((f"on {day}", f"this past {day}") for day in WEEKDAYS) + tuple(
    (f"in {month}", f"during {month}") for month in MONTHS
)


@dataclass(frozen=True)
class _News:
    """The content of a news sentence. Words are pairs of synonyms."""

    agent: Pair
    verbs: tuple[str, ...]
    object: Pair
    city: str
    when: Pair
    speaker: Pair
    number: str
    negated: bool = False


def _news(rng: Random) -> tuple[_News, Frame]:
    frame = rng.choice(FRAMES)
    thing = rng.choice(frame.objects)
    agent = other(rng, PEOPLE, thing)
    news = _News(
        agent=agent,
        verbs=frame.verbs,
        object=thing,
        city=rng.choice(CITIES),
        when=rng.choice(_WHEN),
        speaker=other(rng, PEOPLE, thing, agent),
        number=rng.choice(NUMBERS),
        negated=rng.random() < 0.2,
    )
    return news, frame


def _render(rng: Random, news: _News, parts: tuple[bool, ...]) -> str:
    """The sentence in a random wording. `parts`: whether it names speaker, city, time and number."""
    has_speaker, has_city, has_when, has_number = parts
    agent, thing, verb = f"the {rng.choice(news.agent)}", f"the {rng.choice(news.object)}", rng.choice(news.verbs)
    if rng.random() < 0.4:
        core = f"{thing} was {'not ' if news.negated else ''}{participle(verb)} by {agent}"
    else:
        core = f"{agent} {'did not ' + verb if news.negated else past(verb)} {thing}"
    place = f"in {news.city}" if has_city else ""
    delay = rng.choice(("after {} days of talks", "following {} days of talks")).format(news.number)
    when = rng.choice(news.when) if has_when else ""
    tail = [place, delay if has_number else ""]
    front = ""
    if when and rng.random() < 0.4:
        front = f"{when} ,"
    else:
        tail.append(when)
    clause = " ".join(part for part in (front, core, *tail) if part)
    if not has_speaker:
        return sentence(clause)
    speaker = f"the {rng.choice(news.speaker)}"
    pattern = rng.choice(("{s} said that {c}", "according to {s} , {c}", "{c} , {s} said", "{s} reported that {c}"))
    return sentence(pattern.format(s=speaker, c=clause))


def _falsified(rng: Random, news: _News, frame: Frame, parts: tuple[bool, ...]) -> _News:
    """The same story with two or three facts changed."""
    has_speaker, has_city, has_when, has_number = parts
    changes = [rng.choice(("verb", "negation")), "agent", "object"]  # both together would say the same again
    changes += ["speaker"] * has_speaker + ["city"] * has_city + ["when"] * has_when + ["number"] * has_number
    if news.object in PEOPLE:
        changes.append("roles")
    for change in rng.sample(changes, rng.choice((2, 3))):
        news = _changed(rng, news, frame, change)
    return news


def _changed(rng: Random, news: _News, frame: Frame, change: str) -> _News:
    """The same story with one fact changed."""
    match change:
        case "verb":
            return replace(news, verbs=frame.opposites)
        case "negation":
            return replace(news, negated=not news.negated)
        case "agent":
            return replace(news, agent=other(rng, PEOPLE, news.agent, news.object, news.speaker))
        case "object":
            return replace(news, object=other(rng, frame.objects, news.object, news.agent, news.speaker))
        case "speaker":
            return replace(news, speaker=news.agent, agent=news.speaker)
        case "city":
            return replace(news, city=other(rng, CITIES, news.city))
        case "when":
            return replace(news, when=other(rng, _WHEN, news.when))
        case "number":
            return replace(news, number=other(rng, NUMBERS, news.number))
        case _:
            return replace(news, agent=news.object, object=news.agent)


def mrpc(rng: Random, label: int, genre: int) -> tuple[str, ...]:
    """Two news sentences that say the same (1) or differ in two or three facts (0)."""
    news, frame = _news(rng)
    parts = tuple(rng.random() < 0.15 for _ in range(4))
    second = news if label == 1 else _falsified(rng, news, frame, parts)
    pair = [_render(rng, news, parts), _render(rng, second, parts)]
    rng.shuffle(pair)  # a changed fact is as often in the first sentence as in the second
    return tuple(pair)


# --- stsb -----------------------------------------------------------------------------------------------------------

# Points for a shared subject, verb, object and place; half as many for one that is partly shared.
_POINTS = (1.5, 1.5, 1.5, 0.5)
_SHARED: dict[float, list[tuple[float, ...]]] = {}
for _shares in product((0.0, 0.5, 1.0), repeat=len(_POINTS)):
    _SHARED.setdefault(sum(p * s for p, s in zip(_POINTS, _shares, strict=True)), []).append(_shares)
# Verbs that go with any object, for sentences that share the object but not the verb.
_ANY_OBJECT = (
    ("describe", "depict"), ("photograph", "take a picture of"), ("notice", "spot"), ("mention", "talk about"),
    ("point at", "gesture at"), ("look for", "search for"), ("dream of", "fantasize about"),
    ("wait for", "await"),
)  # fmt: skip


@dataclass(frozen=True)
class _Event:
    """The content of a sentence of stsb. Words are tuples of synonyms, the usual one first; "" for what is not said."""

    subject: tuple[str, ...]
    verb: tuple[str, ...]
    object: tuple[str, ...]
    place: tuple[str, ...]
    second_subject: str = ""
    second_object: str = ""

    def text(self, rng: Random, rare: float) -> str:
        """A wording that takes each word's rarer synonym with probability `rare`."""

        def word(words: tuple[str, ...]) -> str:
            return rng.choice(words[1:]) if len(words) > 1 and rng.random() < rare else words[0]

        subject = f"the {word(self.subject)}" + (f" and the {self.second_subject}" if self.second_subject else "")
        thing = f"the {word(self.object)}" + (f" and the {self.second_object}" if self.second_object else "")
        place = word(self.place)
        place = place and f"at the {place}"
        if rng.random() < 0.2:
            were = "were" if self.second_object else "was"
            core = f"{thing} {were} {participle(word(self.verb))} by {subject}"
        else:
            core = f"{subject} {past(word(self.verb))} {thing}"
        return sentence(core, place)


def stsb(rng: Random, score: float, genre: int) -> tuple[str, ...]:
    """Two sentences whose similarity, from 0 to 5, is the sum of the points for what they share."""
    frame = rng.choice(FRAMES)
    thing = rng.choice(frame.objects)
    subject = other(rng, PEOPLE, thing)
    event = _Event(subject, frame.verbs, thing, rng.choice(PLACES))
    shares = dict(zip(("subject", "verb", "object", "place"), rng.choice(_SHARED[score]), strict=True))
    change: dict[str, object] = {}
    if shares["subject"] < 1:
        person = other(rng, PEOPLE, thing, subject)
        change.update({"second_subject": person[0]} if shares["subject"] else {"subject": person})
    if shares["object"] == 0.5:
        change["second_object"] = other(rng, frame.objects, thing, subject)[0]
    elif shares["object"] == 0:
        frame = frame if shares["verb"] else other(rng, FRAMES, frame)
        change["object"] = other(rng, frame.objects, thing, subject, change.get("subject"))
    if shares["verb"] == 0.5:
        change["verb"] = frame.opposites
    elif shares["verb"] == 0:
        change["verb"] = rng.choice(_ANY_OBJECT) if shares["object"] else frame.verbs
    if shares["place"] < 1:
        change["place"] = ("",) if shares["place"] else other(rng, PLACES, event.place)
    pair = [event.text(rng, 0.0), replace(event, **change).text(rng, rng.choice((0.0, 0.5, 0.9)))]
    rng.shuffle(pair)
    return tuple(pair)
