"""Mercado Pago keeps the contract of every payment gateway."""

from plugins.mercadopago.conformance import MercadoPagoContract


class TestMercadoPago(MercadoPagoContract):
    pass
