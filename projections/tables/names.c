/* An open-addressed set that owns copies of its texts. */
#include "projections/tables/names.h"

static bt_str *slot_of(const bt_names *names, bt_str name)
{
    size_t slot = bt_str_hash(name) & (names->slot_count - 1);
    while (names->slots[slot].at && !bt_str_equal(names->slots[slot], name))
        slot = (slot + 1) & (names->slot_count - 1);
    return &names->slots[slot];
}

static void grow(bt_names *names)
{
    bt_names larger = { .slot_count = names->slot_count == 0 ? 64 : names->slot_count * 2, .count = names->count };
    larger.slots = bt_alloc(larger.slot_count * sizeof *larger.slots);
    for (size_t i = 0; i < names->slot_count; i++)
        if (names->slots[i].at)
            *slot_of(&larger, names->slots[i]) = names->slots[i];
    bt_release(names->slots);
    *names = larger;
}

void bt_names_add(bt_names *names, bt_str name)
{
    if ((names->count + 1) * 2 > names->slot_count)
        grow(names);
    bt_str *slot = slot_of(names, name);
    if (slot->at)
        return;
    char *copy = bt_alloc(name.size + 1);
    memcpy(copy, name.at, name.size);
    *slot = (bt_str){ copy, name.size };
    names->count++;
}

bool bt_names_has(const bt_names *names, bt_str name) { return names->count > 0 && slot_of(names, name)->at != NULL; }

void bt_names_release(bt_names *names)
{
    for (size_t i = 0; i < names->slot_count; i++)
        bt_release((void *)names->slots[i].at);
    bt_release(names->slots);
    *names = (bt_names){ 0 };
}
