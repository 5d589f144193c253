/* forward - see the header: this file is the whole of what decides who got the seat. */
#include "core/forward.h"

#include "core/digest.h"

bt_forward_verdict bt_forward_step(bt_forward *forward, const bt_record *record, bt_id *ret_id)
{
    if (record->offset != forward->next_offset)
        return BT_FORWARD_JUMP;
    forward->next_offset++;
    if (record->key.at == NULL || record->value.size < BT_WIRE_VALUE_MIN || record->value.at[0] != 0) {
        forward->void_count++;
        return BT_FORWARD_VOID_MALFORMED;
    }
    if (memcmp(record->value.at + BT_WIRE_PREFIX_SIZE, forward->head.at, sizeof forward->head.at) != 0) {
        forward->void_count++;
        return BT_FORWARD_VOID_PARENT;
    }
    forward->head = bt_record_id(record->key, record->value);
    forward->height++;
    bt_meta meta;
    if (bt_meta_peek(record->value, &meta) && meta.time > forward->time_us)
        forward->time_us = meta.time;
    if (ret_id != NULL)
        *ret_id = forward->head;
    return BT_FORWARD_VALID;
}

bool bt_varint_take(const uint8_t **at, const uint8_t *end, int64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret_value = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
    return false;
}

static bool take_id(const uint8_t **at, const uint8_t *end, bt_id *ret_id)
{
    if ((size_t)(end - *at) < sizeof ret_id->at)
        return false;
    memcpy(ret_id->at, *at, sizeof ret_id->at);
    *at += sizeof ret_id->at;
    return true;
}

bool bt_meta_peek(bt_bytes value, bt_meta *ret_meta)
{
    if (value.size < BT_WIRE_PREFIX_SIZE)
        return false;
    const uint8_t *at = value.at + BT_WIRE_PREFIX_SIZE, *end = value.at + value.size;
    bt_meta meta;
    int64_t actor_size;
    if (!take_id(&at, end, &meta.parent) || !bt_varint_take(&at, end, &meta.version) || !bt_varint_take(&at, end, &meta.time) ||
        !take_id(&at, end, &meta.command) || !take_id(&at, end, &meta.body) || !bt_varint_take(&at, end, &actor_size))
        return false;
    if (actor_size < 0 || actor_size > BT_NAME_MAX || actor_size > end - at)
        return false;
    meta.actor = (bt_str){ (const char *)at, (size_t)actor_size };
    *ret_meta = meta;
    return true;
}
