"""TIMIT's symbols and speakers, held against what is published."""

from collections import defaultdict

from phoneme_lightning.corpora.timit import CORE_TEST, DEVELOPMENT
from phoneme_lightning.phones import TIMIT_39, TIMIT_48, TIMIT_61, TIMIT_TO_39, TIMIT_TO_48

CORE_TEST_BY_DIALECT = {
    "dr1 New England": "mdab0 mwbt0 felc0",
    "dr2 Northern": "mtas1 mwew0 fpas0",
    "dr3 North Midland": "mjmp0 mlnt0 fpkt0",
    "dr4 South Midland": "mlll0 mtls0 fjlm0",
    "dr5 Southern": "mbpm0 mklt0 fnlp0",
    "dr6 New York City": "mcmj0 mjdh0 fmgd0",
    "dr7 Western": "mgrt0 mnjm0 fdhc0",
    "dr8 Army Brat": "mjln0 mpam0 fmld0",
}
IN_48 = "ax ax-h,er axr,m em,ng eng,hh hv,n nx,uw ux,cl pcl tcl kcl,vcl bcl dcl gcl,sil h# pau"
IN_39 = "sil cl vcl epi,l el,n en,sh zh,aa ao,ih ix,ah ax"


def groups(fold):
    """Give the phones of more than one symbol, or of one of another name."""
    found = defaultdict(set)
    for symbol, phone in fold.items():
        if phone is not None:
            found[phone].add(symbol)
    return {phone: symbols | {phone} for phone, symbols in found.items() if symbols != {phone}}


def published(text):
    return {words.split()[0]: set(words.split()) for words in text.split(",")}


def test_the_61_symbols_are_folded_as_lee_and_hon_did():
    assert [len(set(x)) for x in (TIMIT_61, TIMIT_48, TIMIT_39)] == [61, 48, 39]
    assert [len(x) for x in (TIMIT_61, TIMIT_48, TIMIT_39)] == [61, 48, 39]
    assert set(TIMIT_TO_48) == set(TIMIT_61)
    assert groups(TIMIT_TO_48) == published(IN_48)
    assert [symbol for symbol in TIMIT_61 if TIMIT_TO_48[symbol] is None] == ["q"]
    assert set(TIMIT_TO_39) == set(TIMIT_48)
    assert groups(TIMIT_TO_39) == published(IN_39)


def test_the_core_test_set_is_two_men_and_a_woman_of_each_dialect():
    for speakers in CORE_TEST_BY_DIALECT.values():
        assert [name[0] for name in speakers.split()] == ["m", "m", "f"]
    assert set(" ".join(CORE_TEST_BY_DIALECT.values()).split()) == CORE_TEST
    assert len(CORE_TEST) == 24


def test_the_development_set_is_fifty_others():
    """32 men and 18 women, as in Halberstadt (1998) and in Kaldi's conf/dev_spk.list."""
    assert [sum(name[0] == sex for name in DEVELOPMENT) for sex in "mf"] == [32, 18]
    assert not DEVELOPMENT & CORE_TEST
