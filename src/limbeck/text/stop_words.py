"""Stop words: words that hold sentences together and say little by themselves."""

WORDS = """
a about above after again against all am an and any are as at be because been before being below between both but
by can cannot could d did do does doing down during each few for from further had has have having he her here hers
herself him himself his how i if in into is it its itself just ll m may me might more most must my myself never no
nor not now o of off on once only or other our ours ourselves out over own re s same shall she should so some such
t than that the their theirs them themselves then there these they this those through to too under until up ve
very was we were what when where which while who whom why will with would y you your yours yourself yourselves
"""
ENGLISH = frozenset(WORDS.split())
"""NLTK's list, which the authors of TinyBERT took, with the modal verbs that it lacks; of contractions only what stands
after the apostrophe."""
