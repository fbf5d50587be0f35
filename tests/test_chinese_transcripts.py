"""How transcripts in languages without spaces are cleaned."""

from __future__ import annotations

import pytest

from util.transcripts import Cleaning, RefusedError

CASES = {
    "而 对 楼市 成交": "而对楼市成交",
    "\uff34 恤\uff0c \uff21 股\uff01": "t恤a股",
    "我 想 听 Yesterday Once More 这 首 歌": "我想听yesterday once more这首歌",
    "打开 Wi-Fi": "打开wi fi",
    "唱 rock 'n' roll 吧": "唱rock 'n' roll吧",
    "à bientôt 是 再见": "à bientôt是再见",
    "安娜·卡列尼娜": "安娜卡列尼娜",
    "ハリー・ポッター": "ハリーポッター",
}


@pytest.mark.parametrize("text", CASES)
def test_spaces_stay_between_latin_words_only(text: str):
    assert Cleaning("zh", joined=True)(text) == CASES[text]


@pytest.mark.parametrize(("text", "kind"), [("\uff13 个", "digits"), ("\uff08笑\uff09", "markup")])
def test_signs_of_full_width_are_what_they_look_like(text: str, kind: str):
    with pytest.raises(RefusedError) as refusal:
        Cleaning("zh", joined=True)(text)
    assert refusal.value.kind == kind
