"""Closed lists of values, and the values that are made up."""

from __future__ import annotations

from random import Random

from agentmem.evaluation.world import names

__all__ = ["VALUE_LISTS", "invented_value"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", " ").split(",") if part.strip())


_CITIES = _words(
    """Amsterdam, Athens, Barcelona, Bergen, Berlin, Bogota, Boston, Bristol, Brussels, Budapest, Cairo, Chicago,
    Copenhagen, Cork, Dakar, Delhi, Dresden, Dublin, Florence, Geneva, Ghent, Glasgow, Hamburg, Hanoi, Helsinki,
    Istanbul, Kyoto, Lagos, Leeds, Lima, Lisbon, Lyon, Madrid, Malaga, Manila, Marseille, Melbourne, Milan, Montreal,
    Munich, Nairobi, Naples, Nice, Osaka, Oslo, Ottawa, Oxford, Paris, Porto, Prague, Quito, Riga, Rome, Rotterdam,
    Seville, Stockholm, Sydney, Tallinn, Toronto, Vienna, Vilnius, Warsaw, York, Zurich"""
)
_OCCUPATIONS = _words(
    """accountant, actor, architect, astronomer, baker, barber, biologist, bookseller, butcher, carpenter, chemist,
    dancer, dentist, designer, doctor, driver, economist, editor, electrician, engineer, farmer, firefighter, florist,
    gardener, geologist, historian, journalist, judge, lawyer, librarian, mechanic, midwife, musician, nurse, optician,
    painter, pharmacist, photographer, pilot, plumber, police officer, potter, programmer, psychologist, sailor,
    sculptor, surgeon, tailor, teacher, translator, vet, waiter, welder, writer"""
)
_HOBBIES = _words(
    """archery, astronomy, badminton, baking, beekeeping, birdwatching, bowling, boxing, calligraphy, camping, canoeing,
    card games, carpentry, chess, climbing, crosswords, curling, cycling, dancing, darts, diving, drawing, embroidery,
    fencing, fishing, gardening, golf, hiking, judo, juggling, karate, kite flying, knitting, model trains, origami,
    painting, photography, poetry, pottery, puzzles, reading, rowing, running, sailing, sewing, skating, skiing,
    surfing, swimming, table tennis, tennis, weaving, yoga"""
)
_FOODS = _words(
    """apple pie, bean soup, cheese fondue, chicken curry, chilli, couscous, crab cakes, dumplings, falafel, fish and chips,
    fried rice, garlic bread, goulash, grilled salmon, gumbo, hummus, kimchi, lamb stew, lasagna, lentil soup, meatballs,
    moussaka, mushroom risotto, noodle soup, omelette, onion soup, paella, pad thai, pancakes, pizza, pumpkin soup,
    ramen, ratatouille, ravioli, roast beef, roast chicken, spinach pie, spring rolls, sushi, tacos, tofu, tomato soup,
    vegetable stew, waffles"""
)
_INSTRUMENTS = _words(
    """accordion, banjo, bassoon, bugle, cello, clarinet, cornet, drums, fiddle, flute, guitar, harmonica, harp, horn,
    keyboard, lute, mandolin, marimba, oboe, organ, piano, piccolo, saxophone, sitar, tambourine, trombone, trumpet,
    tuba, ukulele, viola, violin, xylophone, zither"""
)
_PRODUCTS = _words(
    """air filters, alarm clocks, batteries, bicycles, blankets, boats, board games, bricks, cameras, candles, carpets,
    chairs, coffee machines, compasses, cranes, curtains, drones, elevators, engines, fans, fishing nets, fridges,
    furniture, garden tools, gloves, hammers, headphones, heaters, helmets, ink, kettles, keys, knives, ladders, lamps,
    lenses, locks, maps, mirrors, motorcycles, ovens, paint, pencils, printers, pumps, radios, robots, ropes, satellites,
    scales, scooters, shoes, solar panels, tents, tiles, toys, tractors, umbrellas, watches, windows"""
)
_COUNTRIES = _words(
    """Albania, Argentina, Australia, Austria, Belgium, Bolivia, Brazil, Bulgaria, Canada, Chile, China, Colombia,
    Croatia, Denmark, Egypt, Estonia, Ethiopia, Finland, France, Georgia, Germany, Ghana, Greece, Hungary, Iceland,
    India, Ireland, Italy, Japan, Kenya, Latvia, Mexico, Morocco, Nepal, Norway, Peru, Poland, Portugal, Romania,
    Senegal, Serbia, Slovenia, Spain, Sweden, Tunisia, Turkey, Uruguay, Vietnam"""
)
_RIVERS = _words(
    """Arden, Balma, Brenn, Calder, Corva, Darrow, Delva, Drina, Elbek, Erska, Fenna, Galen, Garn, Hadra, Isola, Jorva,
    Kelda, Kesta, Lauter, Loire, Luma, Marn, Meda, Mira, Narva, Nevis, Oder, Orla, Parma, Quell, Rava, Rhea, Sava, Selka,
    Siret, Taro, Tessin, Tyne, Ulma, Varda, Veser, Wye, Yarra, Zelva"""
)
_SPECIALTIES = _words(
    """amber, apples, beer, bells, black tea, blue cheese, butter, carved wood, cherries, chocolate, cider, cinnamon, cloth,
    copper, crystal, dried fish, figs, flowers, ginger, glass, grapes, honey, hot springs, lace, leather, lemons, linen,
    marble, mustard, nougat, olive oil, oranges, paper, pearls, pepper, plums, porcelain, rice, rye bread, saffron, salt,
    silk, silver, smoked ham, soap, strawberries, tulips, vanilla, walnuts, white wine, wool"""
)

VALUE_LISTS: dict[str, tuple[str, ...]] = {
    "home_city": _CITIES,
    "headquarters": _CITIES,
    "occupation": _OCCUPATIONS,
    "hobby": _HOBBIES,
    "favourite_food": _FOODS,
    "instrument": _INSTRUMENTS,
    "product": _PRODUCTS,
    "country": _COUNTRIES,
    "river": _RIVERS,
    "specialty": _SPECIALTIES,
    "founding_year": tuple(str(year) for year in range(1871, 2021)),
}

_PROPER = {"home_city", "headquarters", "country", "river"}


def invented_value(relation: str, rng: Random) -> str:
    """Return a made-up value for ``relation`` that the world does not contain."""
    if relation == "employer":
        return names.company_name(rng)
    if relation in ("founder", "mayor"):
        return f"{rng.choice(names.FIRST_NAMES)} {names.invented_word(rng)}"
    if relation == "founding_year":
        return str(rng.choice((rng.randrange(1500, 1870), rng.randrange(2021, 2100))))
    word = names.invented_word(rng)
    if relation in _PROPER:
        return word
    word = word.lower()
    tail = {
        "product": "s",
        "favourite_food": rng.choice(("", " soup", " pie")),
        "occupation": rng.choice(("er", "ist")),
    }
    return word + tail.get(relation, "")
