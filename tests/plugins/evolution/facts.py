"""What is known of Evolution API as literal bodies, and how the form of an answer is compared with one."""

import json
from typing import Any

import httpx

PERSON = "12132132130@s.whatsapp.net"

LICENSE = (
    b'{"error":"service not activated","code":"LICENSE_REQUIRED","register_url":"\xe2\x80\xa6",'
    b'"instance_id":"\xe2\x80\xa6","docs_url":"\xe2\x80\xa6","message":"\xe2\x80\xa6"}'
)
WELCOME = (
    b'{"status":200,"message":"Welcome to the Evolution API, it is working!","version":"2.3.6",'
    b'"clientName":"evolution","manager":"http://127.0.0.1:8080/manager","documentation":"https://doc.evolution-api.com",'
    b'"whatsappWebVersion":"2.3000.1"}'
)
HIDDEN_ERROR = b'{"error":true,"message":"[object Object]"}'
BOOM = b'{"data":null,"isBoom":true,"isServer":false,"output":{"statusCode":428,"payload":{},"headers":{}}}'
UNAUTHORIZED = b'{"status":401,"error":"Unauthorized","response":{"message":"Unauthorized"}}'
NO_INSTANCE = b'{"status":404,"error":"Not Found","response":{"message":["The \\"nope\\" instance does not exist"]}}'
NAME_TAKEN = b'{"status":403,"error":"Forbidden","response":{"message":["This name \\"snd_17\\" is already in use."]}}'
INVALID = b'{"status":400,"error":"Bad Request","response":{"message":[["instance requires property \\"text\\""]]}}'
NO_WHATSAPP = (
    b'{"status":400,"error":"Bad Request","response":{"message":'
    b'[{"jid":"12132130000@s.whatsapp.net","exists":false,"number":"12132130000"}]}}'
)
ENGINE = b'{"status":400,"error":"Bad Request","response":{"message":["Error: Internal Server Error"]}}'
CLOSED = b'{"status":500,"error":"Internal Server Error","response":{"message":"Connection Closed"}}'
UPLOAD = (
    b'{"status":500,"error":"Internal Server Error","response":{"message":"Error: Media upload failed on all hosts"}}'
)
BAD_JSON = b'{"status":400,"error":"Internal Server Error","response":{"message":"Unexpected token in JSON"}}'
DONE = b'{"status":"SUCCESS","error":false,"response":{"message":"Instance logged out"}}'
CREATED = (
    b'{"instance":{"instanceName":"snd_17","instanceId":"<uuid>","integration":"WHATSAPP-BAILEYS","webhookWaBusiness":null,'
    b'"accessTokenWaBusiness":"","status":"connecting"},"hash":"<own token>","webhook":{},"websocket":{},"rabbitmq":{},'
    b'"nats":{},"sqs":{},"settings":{},'
    b'"qrcode":{"pairingCode":null,"code":"2@abc","base64":"data:image/png;base64,AA","count":1}}'
)
CODE = b'{"pairingCode":null,"code":"2@abc","base64":"data:image/png;base64,AA","count":1}'
OPEN = b'{"instance":{"instanceName":"snd_17","state":"open"}}'
LISTED = (
    b'[{"id":"<uuid>","name":"snd_17","connectionStatus":"open","ownerJid":"5511988887777@s.whatsapp.net",'
    b'"profileName":"Shop","token":"<own token>","disconnectionReasonCode":null,"disconnectionObject":null,'
    b'"disconnectionAt":null}]'
)
SENT = (
    b'{"key":{"remoteJid":"12132132130@s.whatsapp.net","fromMe":true,"id":"3EB01C622C26014C47E80B"},"pushName":"Shop",'
    b'"status":"PENDING","message":{"conversation":"Hello"},"contextInfo":null,"messageType":"conversation",'
    b'"messageTimestamp":1795442276,"instanceId":"<uuid>","source":"web"}'
)
CHECKED = (
    b'[{"jid":"12132132130@s.whatsapp.net","exists":true,"number":"12132132130"},'
    b'{"jid":"12132130000@s.whatsapp.net","exists":false,"number":"12132130000"}]'
)
FOUND = (
    b'{"messages":{"total":1,"pages":1,"currentPage":1,"records":[{"id":"row","key":{"id":"3EB0AA","fromMe":true,'
    b'"remoteJid":"12132132130@s.whatsapp.net"},"message":{"conversation":"Hello"},"messageTimestamp":1795442276,'
    b'"MessageUpdate":[{"status":"DELIVERY_ACK"}]}]}}'
)
STATUSES = b'[{"keyId":"3EB0AA","remoteJid":"12132132130@s.whatsapp.net","fromMe":true,"status":"READ"}]'
ENVELOPE = (
    b'{"event":"messages.update","instance":"snd_17","data":{},"destination":"https://p.example/hooks/evolution/17",'
    b'"date_time":"2026-11-23T13:48:02.630Z","sender":"5511988887777@s.whatsapp.net",'
    b'"server_url":"http://127.0.0.1:18080","apikey":"<instance token>"}'
)
UPSERT = (
    b'{"key":{"remoteJid":"12132132130@s.whatsapp.net","fromMe":false,"id":"3A01"},"pushName":"Ana",'
    b'"status":"DELIVERY_ACK","message":{"conversation":"STOP"},"messageType":"conversation",'
    b'"messageTimestamp":1795441640,"instanceId":"<uuid>","source":"android"}'
)
UPDATE = (
    b'{"keyId":"3EB0AA","remoteJid":"12132132130@s.whatsapp.net","fromMe":true,"participant":null,'
    b'"status":"SERVER_ACK","instanceId":"<uuid>","messageId":"<row id in its DB>"}'
)
CONNECTION = b'{"instance":"i1","state":"connecting","statusReason":200}'
OPENED = (
    b'{"instance":"i1","state":"open","statusReason":200,"wuid":"5511988887777@s.whatsapp.net","profileName":"Shop",'
    b'"profilePictureUrl":null}'
)
QRCODE = b'{"qrcode":{"instance":"i1","pairingCode":null,"code":"2@abc","base64":"data:image/png;base64,AA"}}'
QRCODE_LIMIT = b'{"message":"QR code limit reached, please login again","statusCode":500}'
STATUS_CLOSED = (
    b'{"instance":"i1","status":"closed","disconnectionAt":"2026-11-23T13:48:02.630Z","disconnectionReasonCode":401,'
    b'"disconnectionObject":"{}"}'
)
FIRST_LISTED = (
    b'[{"instance":{"instanceName":"snd_17","owner":"5511988887777@s.whatsapp.net","profileName":"Shop","status":"open",'
    b'"serverUrl":"http://127.0.0.1:8080","apikey":"<own token>"}}]'
)
FIRST_UPDATE = (
    b'{"remoteJid":"12132132130@s.whatsapp.net","fromMe":true,"id":"3EB0AA","status":"DELIVERY_ACK",'
    b'"datetime":1795442276000,"owner":"i1"}'
)
FIRST_UPSERT = (
    b'{"key":{"remoteJid":"12132132130@s.whatsapp.net","fromMe":false,"id":"3A01"},"pushName":"Ana",'
    b'"message":{"extendedTextMessage":{"text":"STOP"}},"messageType":"extendedTextMessage",'
    b'"messageTimestamp":1795441640,"owner":"i1","source":"android"}'
)
FIRST_CREATED = (
    b'{"instance":{"instanceName":"snd_17","instanceId":"<uuid>","status":"created"},"hash":{"apikey":"<own token>"},'
    b'"webhook":{},"settings":{}}'
)


def assert_form(known: bytes, got: object) -> None:
    """See to it that ``got`` has every member of the ``known`` body, of the same type; null stands for any."""
    _compare(json.loads(known), got, "$")


def assert_answer(answer: httpx.Response, status: int, known: bytes) -> None:
    """See to it that an answer has the status, and the form of the ``known`` body."""
    assert answer.status_code == status, answer.text
    assert_form(known, answer.json())


def envelope(event: str, data: bytes) -> bytes:
    """Put the data of an event into the known envelope."""
    whole: dict[str, Any] = json.loads(ENVELOPE)
    return json.dumps({**whole, "event": event, "data": json.loads(data)}).encode()


def _compare(known: object, got: object, place: str) -> None:
    match known:
        case None:
            return
        case dict():
            assert isinstance(got, dict), place
            assert known.keys() <= got.keys(), f"{place}: {known.keys() - got.keys()}"
            for name, inner in known.items():
                _compare(inner, got[name], f"{place}.{name}")
        case list():
            assert isinstance(got, list), place
            for one in got if known else ():
                _compare(known[0], one, f"{place}[]")
        case _:
            assert type(got) is type(known), f"{place}: {got!r}"
