"""Synthetic question tasks: duplicates (qqp) and answers (qnli)."""

from __future__ import annotations

from random import Random

from harness.data.sources.synthetic.lexicon import (
    CITIES,
    FRAMES,
    MONTHS,
    NAMES,
    NUMBERS,
    PEOPLE,
    PLACES,
    WEEKDAYS,
    other,
    participle,
    past,
    sentence,
    words,
)

# --- qqp ------------------------------------------------------------------------------------------------------------

_ACTIVITIES = (
    ("lose weight", "become thinner"), ("make money online", "earn an income on the internet"),
    ("learn to code", "become a programmer"), ("fall asleep faster", "get to sleep sooner"),
    ("stop smoking", "give up cigarettes"), ("find a new job", "get different work"),
    ("learn English", "become fluent in English"), ("write a novel", "become the author of a novel"),
    ("repair an old car", "fix an old automobile"), ("start a company", "found a business"),
    ("cook rice", "prepare rice"), ("get rid of mice", "drive mice out of the house"),
    ("improve my memory", "remember things better"), ("grow tomatoes", "raise tomato plants"),
    ("build a house", "construct a home"), ("sell my phone", "find a buyer for my phone"),
    ("play the guitar", "make music on a guitar"), ("train a dog", "teach a dog to obey"),
    ("save money", "spend less"), ("remove a tattoo", "get rid of ink on the skin"),
    ("become a doctor", "enter the medical profession"), ("stay healthy", "keep from getting sick"),
    ("run a marathon", "complete a race of 42 kilometers"), ("travel around the world", "visit every continent"),
    ("make friends", "get to know people"), ("bake bread", "make a loaf"), ("gain muscle", "get stronger"),
    ("delete my account", "close my profile"), ("win the lottery", "hit the jackpot"),
    ("study abroad", "attend a foreign university"), ("clean a carpet", "wash a rug"), ("invest in gold", "buy gold"),
    ("speak in public", "give a speech"), ("get a visa", "receive permission to enter a country"),
    ("adopt a child", "become an adoptive parent"), ("learn to swim", "become a swimmer"),
)  # fmt: skip
_INTENTS = (
    ("How can I {a}?", "What is the best way to {a}?", "What should I do to {a}?", "What are good methods to {a}?"),
    ("How long does it take to {a}?", "How much time is needed to {a}?", "How many months must I plan to {a}?"),
    ("How much does it cost to {a}?", "How much money is needed to {a}?", "Is it expensive to {a}?"),
    ("Why should I {a}?", "What are good reasons to {a}?", "What are the benefits if I {a}?"),
    ("Where can I {a}?", "What is a good place to {a}?", "In which place should I {a}?"),
    ("Is it possible to {a}?", "Can anyone {a}?", "Does anyone ever manage to {a}?"),
    ("What mistakes do people make when they {a}?", "What goes wrong when people {a}?"),
    ("Is it hard to {a}?", "How difficult is it to {a}?", "Is it a challenge to {a}?"),
    ("When is the best time to {a}?", "At what time of the year should I {a}?"),
    ("Is it dangerous to {a}?", "What are the risks if I {a}?", "Could it harm me to {a}?"),
    ("Who can help me to {a}?", "Which expert should I ask to help me {a}?"),
    ("Why do people fail to {a}?", "What keeps people from being able to {a}?"),
)
_MANNERS = (
    ("without a teacher", "on my own"), ("with a teacher", "under supervision"),
    ("as a beginner", "without experience"), ("as an expert", "with much experience"),
    ("in India", "if I live in India"), ("in America", "if I live in the US"),
    ("after the age of 60", "as a senior"), ("as a teenager", "before the age of 20"),
)  # fmt: skip
_COMPARED = (
    (CITIES, (("bigger", "smaller"), ("older", "younger"), ("richer", "poorer"), ("colder", "warmer"),
              ("safer", "more dangerous"), ("cheaper", "more expensive"), ("cleaner", "dirtier"))),
    (("cats", "dogs", "lions", "tigers", "wolves", "bears", "horses", "monkeys", "sharks", "dolphins", "elephants"),
     (("smarter", "dumber"), ("stronger", "weaker"), ("faster", "slower"), ("friendlier", "less friendly"))),
    (("tea", "coffee", "milk", "beer", "wine", "juice", "sugar", "honey", "butter", "meat", "bread", "rice"),
     (("healthier", "less healthy"), ("cheaper", "more expensive"), ("better", "worse"))),
)  # fmt: skip


def _activity_questions(rng: Random, same: bool) -> tuple[str, str]:
    """The same wish, or another activity, intent or manner."""
    activity, intent = rng.choice(_ACTIVITIES), rng.choice(_INTENTS)
    manner = rng.choice(_MANNERS) if rng.random() < 0.2 else ("", "")

    def ask(activity: tuple[str, str], intent: tuple[str, ...], manner: tuple[str, str]) -> str:
        return rng.choice(intent).format(a=f"{rng.choice(activity)} {rng.choice(manner)}".strip())

    first = ask(activity, intent, manner)
    if not same:
        match rng.choice(("both", "both", "activity", "activity", "intent", "manner")):
            case "both":
                activity, intent = other(rng, _ACTIVITIES, activity), other(rng, _INTENTS, intent)
            case "activity":
                activity = other(rng, _ACTIVITIES, activity)
            case "intent":
                intent = other(rng, _INTENTS, intent)
            case _:
                manner = other(rng, _MANNERS, manner)
    return first, ask(activity, intent, manner)


def _comparison_questions(rng: Random, same: bool) -> tuple[str, str]:
    """`Is A bigger than B?` asks the same as `Is B smaller than A?` but not the same as `Is B bigger than A?`."""
    things, scales = rng.choice(_COMPARED)
    one, two = rng.sample(things, 2)
    up, down = rng.sample(rng.choice(scales), 2)
    be = "is" if things is not _COMPARED[1][0] else "are"

    def asks(x: str, word: str, y: str) -> tuple[str, ...]:
        return (
            f"{be} {x} {word} than {y}?",
            f"is it true that {x} {be} {word} than {y}?",
            f"do you think that {x} {be} {word} than {y}?",
        )

    yes = asks(one, up, two) + asks(two, down, one)
    no = asks(two, up, one) + asks(one, down, two)
    first = rng.choice(yes)
    second = rng.choice(yes if same else no)
    return first[0].upper() + first[1:], second[0].upper() + second[1:]


def _route_questions(rng: Random, same: bool) -> tuple[str, str]:
    """From one city to another, or back."""
    start, goal = rng.sample(CITIES, 2)
    means = rng.choice((("by train", "on a train"), ("by car", "in a car"), ("by bus", "on a bus"), ("", "")))

    def ask(start: str, goal: str) -> str:
        way = rng.choice(
            (
                "How do I get {}?",
                "What is the best way to travel {}?",
                "Which route should I take {}?",
                "How can I go {}?",
            )
        )
        return way.format(" ".join([*rng.sample((f"from {start}", f"to {goal}"), 2), rng.choice(means)]).strip())

    first = ask(start, goal)
    if same:
        return first, ask(start, goal)
    if rng.random() < 0.5:
        return first, ask(goal, start)
    return first, ask(start, other(rng, CITIES, start, goal))


def qqp(rng: Random, label: int, genre: int) -> tuple[str, ...]:
    """Two questions that have the same answer (1) or not (0)."""
    kind = rng.choice((_activity_questions,) * 6 + (_comparison_questions, _route_questions))
    pair = list(kind(rng, label == 1))
    rng.shuffle(pair)
    return tuple(pair)


# --- qnli -----------------------------------------------------------------------------------------------------------

_SLOTS = ("who", "when", "where", "why", "how long", "how much")
_REASONS = (
    "to help the poor", "because of the war", "to save money", "because of a bet", "out of love", "out of fear",
    "to impress a friend", "because of the bad weather", "in order to become famous", "because the law changed",
)  # fmt: skip
_DURATIONS = words("hours days weeks months")
_CURRENCIES = words("dollars,million dollars,euros,pounds", ",")


def _answer(rng: Random, slot: str) -> str:
    """A phrase that answers that kind of question."""
    match slot:
        case "who":
            return "by " + rng.choice((rng.choice(NAMES), "the " + rng.choice(PEOPLE)[0]))
        case "when":
            return rng.choice(
                (f"in {rng.randrange(1850, 2020)}", f"in {rng.choice(MONTHS)}", f"on {rng.choice(WEEKDAYS)}")
            )
        case "where":
            return rng.choice((f"in {rng.choice(CITIES)}", f"at the {rng.choice(PLACES)[0]}"))
        case "why":
            return rng.choice(_REASONS)
        case "how long":
            return f"{rng.choice(('within', 'after'))} {rng.choice(NUMBERS)} {rng.choice(_DURATIONS)}"
        case _:
            return f"{rng.choice(('for', 'at a cost of'))} {rng.choice(NUMBERS)} {rng.choice(_CURRENCIES)}"


def qnli(rng: Random, label: int, genre: int) -> tuple[str, ...]:
    """A question, and a sentence that answers it (0), or lacks the answer or is about something else (1).

    Each kind of phrase is equally frequent with either label.
    """
    frame = rng.choice(FRAMES)
    verbs, opposites = rng.sample((frame.verbs, frame.opposites), 2)
    thing = rng.choice(frame.objects)
    asked, *rest, missing = rng.sample(_SLOTS, 4)
    slots = [asked, *rest[: rng.choice((0, 1))]]
    said_verbs, said_thing = verbs, thing
    trap = rng.choice(("slot", "verb", "object", "object", "topic", "topic")) if label == 1 else ""
    match trap:
        case "slot":
            slots[0] = missing
        case "verb":
            said_verbs = opposites
        case "object":
            said_thing = other(rng, frame.objects, thing)
        case "topic":
            rival = other(rng, FRAMES, frame)
            said_verbs, said_thing = rng.choice((rival.verbs, rival.opposites)), other(rng, rival.objects, thing)
    noun, verb = f"the {thing[0]}", rng.choice(verbs)
    done = participle(verb)
    question = {
        "who": f"who {past(verb)} {noun}", "when": f"when was {noun} {done}", "where": f"where was {noun} {done}",
        "why": f"why was {noun} {done}", "how long": f"how long did it take until {noun} was {done}",
        "how much": f"how much was paid when {noun} was {done}",
    }[asked]  # fmt: skip
    rng.shuffle(slots)
    core = f"the {rng.choice((said_thing[0], *said_thing))} was {participle(rng.choice(said_verbs))}"
    return sentence(question, end="?"), sentence(core, *(_answer(rng, slot) for slot in slots))
