/* trouble - see the header. */
#include "io/trouble/trouble.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct noted {
    char text[BT_TROUBLE_MAX]; /* stays when it is over, so that what comes and goes is not logged each time */
    bool is_there;
    time_t noted_s, logged_s; /* monotonic */
} noted;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static noted all[BT_TROUBLE_COUNT];

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

bool bt_trouble_note(bt_trouble_with with, const char *text)
{
    noted *it = &all[with];
    char cut[BT_TROUBLE_MAX] = { 0 };
    snprintf(cut, sizeof cut, "%s", text);
    pthread_mutex_lock(&lock);
    time_t now = now_s();
    bool news = strcmp(it->text, cut) != 0 || now - it->logged_s >= BT_TROUBLE_REPEAT_S;
    memcpy(it->text, cut, sizeof cut);
    it->is_there = true;
    it->noted_s = now;
    if (news)
        it->logged_s = now;
    pthread_mutex_unlock(&lock);
    return news;
}

void bt_trouble_over(bt_trouble_with with)
{
    pthread_mutex_lock(&lock);
    all[with].is_there = false;
    pthread_mutex_unlock(&lock);
}

bool bt_trouble_get(bt_trouble_with with, char ret_text[BT_TROUBLE_MAX])
{
    pthread_mutex_lock(&lock);
    bool is_there = all[with].is_there && now_s() - all[with].noted_s < BT_TROUBLE_AGE_S;
    memcpy(ret_text, is_there ? all[with].text : "", is_there ? BT_TROUBLE_MAX : 1);
    pthread_mutex_unlock(&lock);
    return is_there;
}
