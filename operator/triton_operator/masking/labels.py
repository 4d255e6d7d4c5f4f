"""The word that says what a number is: `order 1234…`, `手机 138…`.

Numbers of different types have the same form. The closest label in front of a number decides; a number without a label
is judged by its form alone.
"""

from __future__ import annotations

import re

REACH = 28
"""Number of characters before a number in which a label is searched."""

_OTHER = re.compile(
    r"order|invoice|tracking|parcel|shipment|reference|\bref\b|transaction|serial|\bsku\b|\bisbn\b|barcode|batch|\bitem\b"
    r"|\bcase\b|ticket|commit|checkpoint|parameter|timestamp|epoch|account suspended|model number|student number|lot\b"
    r"|version|release|firmware|build|upgrade|software|badge|coordinates"
    r"|订单|单号|运单|流水|编号|条码|条形码|批次|批号|发票|参考号|序列号|时间戳|学号|工号|考号|准考证|参数|版本|固件|升级"
    r"|编码|库存|货号|单据|合同|采购|交易|微信|QQ|群号|邮编|股票|坐标|代码|注册号|验证码|取件码",
    re.IGNORECASE,
)


def label(text: str, start: int, wanted: re.Pattern[str]) -> bool | None:
    """Return whether the closest label before `start` matches `wanted`; None if there is no label.

    A label counts only within its clause.
    """
    before = re.split(r"[。;!?\n]|(?<!\bno)\. ", text[max(0, start - REACH) : start])[-1]
    own = _last_end(wanted, before)
    other = _last_end(_OTHER, before)
    return None if own == other else own > other


def _last_end(pattern: re.Pattern[str], text: str) -> int:
    return max((match.end() for match in pattern.finditer(text)), default=-1)
