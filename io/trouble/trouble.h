/* trouble - what keeps this process from its Kafka, Postgres or Redis just now, in one line that names the setting and the remedy.
 *
 * The libraries meet such things (a refused password, an unknown CA) deep inside, on threads of their own, and what a caller sees later is only
 * "no answer". So io/kafka, io/pg and io/redis note the cause here, and /readyz and messages of errors show it.
 * One for each of the three, for a process has one of each. Any thread; nothing blocks. */
#ifndef BERTH_IO_TROUBLE_TROUBLE_H
#define BERTH_IO_TROUBLE_TROUBLE_H

#include "core/base.h"

typedef enum bt_trouble_with { BT_TROUBLE_KAFKA, BT_TROUBLE_POSTGRES, BT_TROUBLE_REDIS, BT_TROUBLE_COUNT } bt_trouble_with;

#define BT_TROUBLE_MAX 400    /* bytes, with the zero */
#define BT_TROUBLE_AGE_S 90   /* what nobody has met for so long is not told any more */
#define BT_TROUBLE_REPEAT_S 60

/* Notes text, which holds no secret. True: it should be logged, for it is another text than before, or the last time is a minute ago. */
bool bt_trouble_note(bt_trouble_with with, const char *text);
/* It answers. */
void bt_trouble_over(bt_trouble_with with);
/* The trouble that there is; false, and an empty text, when there is none. */
bool bt_trouble_get(bt_trouble_with with, char ret_text[BT_TROUBLE_MAX]);

#endif
