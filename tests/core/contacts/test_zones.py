import pytest

from core.contacts.zones import BRAZILIAN_AREAS, zone_of, zone_prefix


class TestBrazil:
    @pytest.mark.parametrize(
        ("number", "zone"),
        [
            ("5511987654321", "America/Sao_Paulo"),
            ("5581987654321", "America/Sao_Paulo"),
            ("556533334444", "America/Cuiaba"),
            ("5567987654321", "America/Campo_Grande"),
            ("5568987654321", "America/Rio_Branco"),
            ("5569987654321", "America/Porto_Velho"),
            ("5592987654321", "America/Manaus"),
            ("5593987654321", "America/Santarem"),
            ("5595987654321", "America/Boa_Vista"),
        ],
    )
    def test_goes_by_the_area_code(self, number: str, zone: str) -> None:
        assert zone_of(number) == zone

    def test_the_ninth_digit_changes_nothing(self) -> None:
        for area in BRAZILIAN_AREAS:
            assert zone_of(f"55{area}87654321") == zone_of(f"55{area}987654321") == BRAZILIAN_AREAS[area]


class TestElsewhere:
    @pytest.mark.parametrize(
        ("number", "zone"),
        [
            ("351912345678", "Europe/Lisbon"),
            ("541123456789", "America/Buenos_Aires"),
            ("12125550100", "America/New_York"),
            ("14155550100", "America/Los_Angeles"),
            ("819012345678", "Asia/Tokyo"),
        ],
    )
    def test_goes_by_country_and_area(self, number: str, zone: str) -> None:
        assert zone_of(number) == zone

    def test_of_several_zones_the_middle_one(self) -> None:
        # Mobile numbers of Russia are of no area; from Kaliningrad (+2) to Anadyr (+12) the middle is +7.
        assert zone_of("79123456789") == "Asia/Novosibirsk"

    @pytest.mark.parametrize("number", ["", "999999", "0", "99912345678"])
    def test_nothing_is_known_of_what_is_no_number(self, number: str) -> None:
        assert zone_of(number) is None


def test_the_prefix_and_the_length_alone_decide() -> None:
    assert zone_prefix("5592987654321") == "5592987"
    assert zone_of("12125550100") == zone_of(zone_prefix("12125550100") + "9999")
