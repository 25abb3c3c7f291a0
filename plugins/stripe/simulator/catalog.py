"""Products, prices, coupons and promotion codes."""

import re

import stripe

from plugins.stripe.simulator.requests import invalid, no_such
from plugins.stripe.simulator.shapes import Obj, part
from plugins.stripe.simulator.state import State, new_id

_CURRENCY = re.compile(r"[a-z]{3}")


class Catalog:
    """What the account sells."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create_product(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/products``."""
        if params.get("id") in self._state.objects:
            raise invalid("Product already exists.", code="resource_already_exists", param="id")
        made = self._state.add(
            stripe.Product,
            "prod",
            id=params.get("id", ""),
            name=params["name"],
            active=params.get("active", True),
            description=params.get("description"),
            metadata=params.get("metadata") or {},
            type="service",
            updated=self._state.now(),
        )
        self._state.emit("product.created", made)
        return made

    def update_product(self, params: Obj, ids: tuple[str, ...]) -> Obj:
        """``POST /v1/products/{id}``."""
        found = self._state.get("product", ids[0])
        found |= {name: params[name] for name in ("name", "active", "description") if name in params}
        found["metadata"] |= params.get("metadata") or {}
        self._state.emit("product.updated", found)
        return found

    def create_price(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/prices``."""
        if "product_data" in params:
            params["product"] = self.create_product(params["product_data"], ())["id"]
        if "product" not in params:
            raise invalid("Missing required param: product.", code="parameter_missing", param="product")
        self._state.get("product", params["product"], "product")
        if not _CURRENCY.fullmatch(params["currency"]):
            raise invalid(f"Invalid currency: {params['currency']}.", param="currency")
        if "unit_amount" not in params:
            raise invalid("Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.")
        key = params.get("lookup_key")
        for other in self._state.every("price", lookup_key=key) if key else ():
            if not params.get("transfer_lookup_key"):
                message = f"A price (`{other['id']}`) already uses that lookup key."
                raise invalid(message, code="resource_already_exists", param="lookup_key")
            other["lookup_key"] = None
        recurring = params.get("recurring")
        made = self._state.add(
            stripe.Price,
            "price",
            active=params.get("active", True),
            currency=params["currency"],
            product=params["product"],
            lookup_key=key,
            nickname=params.get("nickname"),
            metadata=params.get("metadata") or {},
            type="recurring" if recurring else "one_time",
            recurring=part(stripe.Price.Recurring, interval_count=1, usage_type="licensed") | recurring
            if recurring
            else None,
            unit_amount=params["unit_amount"],
            unit_amount_decimal=str(params["unit_amount"]),
            billing_scheme="per_unit",
            tax_behavior="unspecified",
        )
        self._state.emit("price.created", made)
        return made

    def update_price(self, params: Obj, ids: tuple[str, ...]) -> Obj:
        """``POST /v1/prices/{id}``; an amount never changes."""
        found = self._state.get("price", ids[0])
        found |= {name: params[name] for name in ("active", "nickname", "lookup_key") if name in params}
        found["metadata"] |= params.get("metadata") or {}
        self._state.emit("price.updated", found)
        return found

    def prices(self, params: Obj, _: tuple[str, ...]) -> list[Obj]:
        """``GET /v1/prices``."""
        keys = params.get("lookup_keys")
        return [
            one
            for one in self._state.every("price", **_equal(params, "active", "product", "currency", "type"))
            if keys is None or one["lookup_key"] in keys
        ]

    def create_coupon(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/coupons``."""
        percent, amount = params.get("percent_off"), params.get("amount_off")
        if (percent is None) == (amount is None):
            raise invalid("You must pass either percent_off or amount_off.")
        duration = params.get("duration", "once")
        if (duration == "repeating") != ("duration_in_months" in params):
            raise invalid("duration_in_months belongs to a repeating coupon.", param="duration_in_months")
        return self._state.add(
            stripe.Coupon,
            "coupon",
            id=params.get("id", new_id(8)),
            name=params.get("name"),
            percent_off=float(percent) if percent is not None else None,
            amount_off=amount,
            currency=params.get("currency"),
            duration=duration,
            duration_in_months=params.get("duration_in_months"),
            metadata=params.get("metadata") or {},
            valid=True,
        )

    def create_promotion(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/promotion_codes``."""
        coupon = self._state.get("coupon", params["promotion"].get("coupon", ""), "promotion[coupon]")
        return self._state.add(
            stripe.PromotionCode,
            "promo",
            active=params.get("active", True),
            code=params.get("code") or new_id(8).upper(),
            promotion={"type": "coupon", "coupon": coupon["id"]},
            metadata=params.get("metadata") or {},
        )

    def promotions(self, params: Obj, _: tuple[str, ...]) -> list[Obj]:
        """``GET /v1/promotion_codes``; codes are compared without regard to case."""
        code = params.get("code")
        found = self._state.every("promotion_code", **_equal(params, "active"))
        return [one for one in found if code is None or one["code"].lower() == code.lower()]

    def price_of(self, item: Obj, where: str) -> Obj:
        """Return the price that an item names, or make the one it describes."""
        if ("price" in item) == ("price_data" in item):
            raise invalid(f"{where} needs either price or price_data.", param=f"{where}[price]")
        if "price_data" in item:
            return self.create_price(dict(item["price_data"]), ())
        price = self._state.get("price", item["price"], f"{where}[price]")
        if not price["active"]:
            raise invalid(
                "The price specified is inactive. This field only accepts active prices.", param=f"{where}[price]"
            )
        if price["type"] != "recurring":
            raise invalid("The price specified is not recurring.", param=f"{where}[price]")
        return price

    def apply(self, wanted: list[Obj], customer: str, subscription: str) -> list[str]:
        """Make discounts of coupons and promotion codes; return their ids."""
        numbers = []
        for number, one in enumerate(wanted):
            promotion = None
            coupon = one.get("coupon")
            if "promotion_code" in one:
                where = f"discounts[{number}][promotion_code]"
                promotion = self._state.get("promotion_code", one["promotion_code"], where)
                if not promotion["active"]:
                    raise no_such("promotion code", promotion["id"], where)
                promotion["times_redeemed"] += 1
                coupon = promotion["promotion"]["coupon"]
            self._state.get("coupon", coupon or "", f"discounts[{number}][coupon]")["times_redeemed"] += 1
            made = self._state.add(
                stripe.Discount,
                "di",
                customer=customer,
                subscription=subscription,
                promotion_code=promotion["id"] if promotion else None,
                source={"type": "coupon", "coupon": coupon},
                start=self._state.now(),
            )
            self._state.private[made["id"]]["used"] = 0
            numbers.append(made["id"])
        return numbers


def _equal(params: Obj, *names: str) -> Obj:
    return {name: params[name] for name in names if name in params}
