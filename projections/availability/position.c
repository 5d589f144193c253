/* The 64 bytes of a position in Redis. Two positions are the same if and only if their bytes are: the script compares them so. */
#include "projections/availability/availability.h"

#include <endian.h>

static void put(uint8_t *at, int64_t value)
{
    uint64_t little = htole64((uint64_t)value);
    memcpy(at, &little, sizeof little);
}

static int64_t get(const char *at)
{
    uint64_t little;
    memcpy(&little, at, sizeof little);
    return (int64_t)le64toh(little);
}

void bt_availability_position_save(const bt_position *position, uint8_t ret_bytes[BT_AVAILABILITY_POSITION_SIZE])
{
    put(ret_bytes, position->forward.next_offset);
    memcpy(ret_bytes + 8, position->forward.head.at, sizeof position->forward.head.at);
    put(ret_bytes + 24, position->head_offset);
    put(ret_bytes + 32, position->forward.height);
    put(ret_bytes + 40, position->forward.void_count);
    put(ret_bytes + 48, position->forward.time_us);
    put(ret_bytes + 56, 0);
}

bool bt_availability_position_load(bt_str bytes, bt_position *ret_position)
{
    if (bytes.size != BT_AVAILABILITY_POSITION_SIZE)
        return false;
    ret_position->forward.next_offset = get(bytes.at);
    memcpy(ret_position->forward.head.at, bytes.at + 8, sizeof ret_position->forward.head.at);
    ret_position->head_offset = get(bytes.at + 24);
    ret_position->forward.height = get(bytes.at + 32);
    ret_position->forward.void_count = get(bytes.at + 40);
    ret_position->forward.time_us = get(bytes.at + 48);
    return true;
}
