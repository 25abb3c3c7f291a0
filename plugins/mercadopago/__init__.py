"""Mercado Pago subscriptions (https://www.mercadopago.com.br/developers): sells plans in Latin America."""

from plugins.mercadopago.plugin import Plugin

__all__ = ("Plugin",)
