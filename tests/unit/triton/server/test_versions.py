"""Releases: their names, their order, and their known vulnerabilities."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triton_operator.triton.server.versions import BULLETINS, SECURITY_FLOOR, Version, parse, vulnerability

VERSIONS = st.builds(Version, st.integers(0, 99), st.integers(1, 12))


@settings(deadline=None)
@given(VERSIONS)
def test_a_formatted_release_is_parsed_to_the_same_release(version: Version) -> None:
    """Two digits each."""
    assert parse(str(version)) == version


@pytest.mark.parametrize(
    "text", ["", "26", "26.7", "26.00", "26.13", "2026.07", "26.07-py3", " 26.07", "26.07\n", "\u0662\u0666.07"]
)
def test_any_other_text_is_rejected_with_an_example(text: str) -> None:
    """The message contains the text and the expected form."""
    with pytest.raises(ValueError, match=r"is not a Triton release: expected YY\.MM .* such as 26\.07"):
        parse(text)


@settings(deadline=None)
@given(VERSIONS)
def test_exactly_the_releases_below_the_floor_are_vulnerable(version: Version) -> None:
    """The message recommends at least the floor."""
    result = vulnerability(version)
    assert (result is None) == (version >= SECURITY_FLOOR)
    if result:
        assert result.fixed_in == SECURITY_FLOOR
        assert f"Triton {version} lacks" in result.message
        assert f"Use {SECURITY_FLOOR} or newer" in result.message
        assert len(result.ids) == len(set(result.ids)) > 0


def test_the_worst_vulnerability_is_named_first() -> None:
    """24.10 lacks all fixes, 26.04 the later ones, and 26.06 those of one bulletin without published CVEs."""
    oldest = vulnerability(parse("24.10"))
    assert oldest
    assert oldest.message == (
        "Triton 24.10 lacks the fixes of 12 NVIDIA security bulletins (the worst: CVE-2025-23310, CVSS 9.8, "
        "fixed in 25.07). Clients can crash its replicas by cancelling gRPC calls. "
        "Use 26.07 or newer."
    )
    later = vulnerability(parse("26.04"))
    assert later
    assert later.ids[0] == "CVE-2026-47627"
    assert "CVE-2026-24207" not in later.ids
    last = vulnerability(parse("26.06"))
    assert last
    assert last.ids == ("bulletin 5875",)
    assert last.message == (
        "Triton 26.06 lacks the fixes of 1 NVIDIA security bulletin (the worst: bulletin 5875, fixed in 26.07). "
        "Use 26.07 or newer."
    )


def test_the_table_is_in_order_and_agrees_with_the_floor() -> None:
    """A new bulletin raises the floor, so both must change together."""
    fixes = [bulletin.fixed_in for bulletin in BULLETINS]
    assert fixes == sorted(fixes)
    assert max(fixes) == SECURITY_FLOOR
    cves = [cve for bulletin in BULLETINS for cve in bulletin.cves]
    assert len(cves) == len(set(cves))
