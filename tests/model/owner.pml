/* owner - the fast-forward rule and two owners of one partition, exhaustively. README.md says what is abstracted and what is left out.
 *
 * One seat, taken at the start. Commands: 1 gives it back, 2 and 3 take it. Each may be called once at each owner (the same key
 * twice, or a retry elsewhere). A record is a number; par, cmd, seat and keys say what it holds and what follows from its chain.
 * The owner is commands/owner: decide on what is proved and in flight, append, prove by report or by reading, hold refusals for the next
 * record, drop, read to the end, append again or a barrier. The world is Kafka at its worst: any delay and order, lost and doubled
 * appends, lost reports, a log whose end above the high watermark is cut off, crashes, stale answers for the end.
 *
 * Ghosts (never read by an owner): lhead, chead, valid, committed, truth, void_for_good. Every assert speaks of them alone.
 * A run that can go no further has answered every call, or has used up LOG or IDS: else it is an invalid end state. */
#ifndef LOG
#define LOG 5        /* records that the log can hold, the first one included */
#endif
#ifndef IDS
#define IDS 6        /* records that can ever be made, the first one included: 1 .. IDS */
#endif
#ifndef COMMANDS
#define COMMANDS 2
#endif
#ifndef OWNERS
#define OWNERS 2
#endif
#ifndef PIPE
#define PIPE 2       /* records that an owner may have in flight */
#endif
#ifndef DUPLICATES
#define DUPLICATES 1 /* how often each fault may strike in one run */
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef TROUBLES
#define TROUBLES 1
#endif
#ifndef TRUNCATIONS
#define TRUNCATIONS 1
#endif
#ifndef NOISES
#define NOISES 1
#endif
#ifndef STALE_ENDS
#define STALE_ENDS 1  /* answers of a leader that is cut off */
#endif
#ifndef REJECTIONS
#define REJECTIONS 1  /* records that the broker refuses for good */
#endif
#ifndef CALLED
#define CALLED 52     /* bits by call: who is called with what: 1 and 2 at owner 0, 2 at owner 1 too */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#if defined(NO_PARENT_CHECK) || defined(VOID_COPY_SETTLES) || defined(PROOF_ACROSS_GENERATIONS)
#define KEEP_VOIDS /* these look at what is void */
#endif

#define BARRIER 0
#define CALLS 8 /* command * 2 + owner; commands count from 1 */
#define CALL(c, o) ((c) * 2 + (o))

#define NONE 0
#define WAITS 1
#define IN_FLIGHT 2  /* its record is in the pipeline, or open */
#define HELD 3       /* refused, if the next record is proved */
#define HELD_ON 4    /* refused, if this record is proved */
#define ANSWERED 5

/* The network and the log. */
byte log[LOG];
byte size, hw;
byte used;                       /* bits: numbers of records that still matter */
byte par[IDS + 1], cmd[IDS + 1];
bit seat[IDS + 1];               /* taken, after this record's chain */
byte keys[IDS + 1];              /* commands in this record's chain, as bits */
byte sent;                       /* bits: a copy is under way */
byte report[IDS + 1];            /* offset + 1 of a report under way; 0: none */

/* Owners. */
byte off[2], head[2];            /* what is proved */
byte pipe[4], pcount[2];
byte opened[4], ocount[2];       /* dropped, not settled */
bit trusts[2], recovers[2], took_over[2];
byte target[2];                  /* read to here, plus 1; 0: not asked yet */
byte call[CALLS], on[CALLS];

/* Ghosts. */
byte lhead, chead, valid, committed, void_for_good;
byte maker[2];                   /* bits: the records that an owner made */
byte truth;                      /* bits by call: its refusal was true at some moment since it came */
byte made, c_, i_, id_;           /* of one step */
byte duplicates, losses, troubles, truncations, crashes, noises, stale_ends, rejections;
#ifdef NO_ROLL_BACK
byte believes[2];
#endif
#ifdef FORGET_KEYS_AT_TAKEOVER
byte forgot[2];
#endif

#define OPEN_CALL(k) (call[k] != NONE && call[k] != ANSWERED)
#define HAS(mask, n) (((mask) >> (n)) & 1)
#define SPEC(o) (pcount[o] == 0 -> head[o] : pipe[2 * (o) + pcount[o] - 1])
#ifdef NO_ROLL_BACK
#define BELIEF(o) (believes[o])
#else
#define BELIEF(o) SPEC(o)
#endif
#if defined(NO_KEY_MEMORY)
#define KNOWS(o, id, c) (0)
#elif defined(FORGET_KEYS_AT_TAKEOVER)
#define KNOWS(o, id, c) (HAS(keys[id], c) && !HAS(forgot[o], c))
#else
#define KNOWS(o, id, c) HAS(keys[id], c)
#endif
#define ALLOWS(taken, c) ((c) == 1 -> (taken) : !(taken)) /* 1 gives back, others take */
#define REFUSAL_IS_TRUE(c) (!HAS(keys[chead], c) && !ALLOWS(seat[chead], c))
#define OWNS(o) (took_over[o] && !recovers[o])

/* ---- ghosts ---- */

inline note_truth() {
    c_ = 1;
    do
    :: c_ <= COMMANDS ->
        if
        :: REFUSAL_IS_TRUE(c_) ->
            if :: OPEN_CALL(CALL(c_, 0)) -> truth = truth | (1 << CALL(c_, 0)) :: else fi;
            if :: OPEN_CALL(CALL(c_, 1)) -> truth = truth | (1 << CALL(c_, 1)) :: else fi
        :: else
        fi;
        c_++
    :: else -> break
    od
}

/* A valid record must have been decided on the very state that it follows. */
inline append(id) {
    size++;
    if
    :: par[id] == lhead ->
        log[size - 1] = id;
        assert(cmd[id] == BARRIER || !HAS(keys[par[id]], cmd[id]));           /* a command is applied once */
        assert(cmd[id] == BARRIER || ALLOWS(seat[par[id]], cmd[id]));         /* nothing is sold twice */
        assert(!HAS(void_for_good, id));                                      /* "not applied" is final */
        lhead = id;
        valid = valid | (1 << id)
    :: else ->
#ifdef KEEP_VOIDS
        log[size - 1] = id
#else
        log[size - 1] = 0 /* what is void where it stands stays so, and is like any other */
#endif
    fi
}

#define ALL ((1 << (IDS + 1)) - 2)
#define UNREACHABLE 255 /* parent of record 0, which stands for every void one */

inline answer_ok(c, o) {
    assert(HAS(keys[chead], c)); /* acknowledged: committed, so it stays */
    truth = truth & ~(1 << CALL(c, o));
    call[CALL(c, o)] = ANSWERED
}

inline answer_no(c, o) {
    assert(HAS(truth, CALL(c, o)));
    truth = truth & ~(1 << CALL(c, o));
    call[CALL(c, o)] = ANSWERED
}

inline answer_not_applied(c, o) {
    /* Every record that this owner made for it, so far. */
    i_ = 1;
    do
    :: i_ <= IDS ->
        if
        :: cmd[i_] == c && HAS(used, i_) && HAS(maker[o], i_) -> assert(!HAS(valid, i_)); void_for_good = void_for_good | (1 << i_)
        :: else
        fi;
        i_++
    :: else -> break
    od;
    truth = truth & ~(1 << CALL(c, o));
    call[CALL(c, o)] = ANSWERED
}

#define IN_A_PIPE(n) (pipe[0] == n || pipe[1] == n || pipe[2] == n || pipe[3] == n)
#define IS_OPEN(n) (opened[0] == n || opened[1] == n || opened[2] == n || opened[3] == n)
#define IS_A_HEAD(n) (head[0] == n || head[1] == n || chead == n || lhead == n)
#ifdef NO_ROLL_BACK
#define IS_BELIEVED(n) (believes[0] == n || believes[1] == n)
#else
#define IS_BELIEVED(n) (0)
#endif

/* After each step: what can make no difference any more is forgotten, so that runs that differ only in it are one.
 *   - what all have read and the high watermark has passed leaves the log, and offsets count from what is left;
 *   - a record is dead when a committed one, or none that lives, has its place: under way, it is mere noise;
 *   - the number of a record that nobody holds is free. */
inline tidy() {
#if OWNERS == 1
    off[1] = off[0]; head[1] = head[0];
#endif
    do
    :: off[0] > 0 && off[1] > 0 && hw > 0 ->
        off[0]--; off[1]--; hw--; size--;
        i_ = 1;
        do
        :: i_ < LOG -> log[i_ - 1] = log[i_]; i_++
        :: else -> break
        od;
        log[LOG - 1] = 0;
        i_ = 1;
        do
        :: i_ <= IDS -> if :: report[i_] > 0 -> report[i_]-- :: else fi; i_++
        :: else -> break
        od;
        i_ = 0;
        do
        ::i_ < 2 -> if :: target[i_] > 1 -> target[i_]-- :: else fi; i_++
        :: else -> break
        od
    :: else -> break
    od;
    id_ = 0;
    do
    :: id_ < 3 -> /* as deep as what is not committed can hang together */
        i_ = 1;
        do
        :: i_ <= IDS ->
            c_ = par[i_];
            if
            :: !HAS(committed, i_) && c_ != UNREACHABLE && (HAS(committed, c_) && c_ != chead || !HAS(committed, c_) && par[c_] == UNREACHABLE) ->
                par[i_] = UNREACHABLE
            :: else
            fi;
            i_++
        :: else -> break
        od;
        id_++
    :: else -> break
    od;
    used = 0;
    i_ = 1;
    do
    :: i_ <= IDS ->
        if
        :: HAS(committed, i_) || par[i_] == UNREACHABLE -> sent = sent & ~(1 << i_)
        :: else
        fi;
        if
        :: !HAS(committed, i_) && par[i_] == UNREACHABLE && !IN_A_PIPE(i_) -> report[i_] = 0
        :: else
        fi;
        id_ = 0;
        do
        :: id_ < size && log[id_] != i_ -> id_++
        :: else -> break
        od;
        if
        :: id_ < size || HAS(sent, i_) || IN_A_PIPE(i_) || IS_OPEN(i_) || IS_A_HEAD(i_) || IS_BELIEVED(i_) -> used = used | (1 << i_)
        :: else ->
            par[i_] = UNREACHABLE; cmd[i_] = 0; seat[i_] = 0; keys[i_] = 0; report[i_] = 0;
            valid = valid & ~(1 << i_); committed = committed & ~(1 << i_); void_for_good = void_for_good & ~(1 << i_);
            maker[0] = maker[0] & ~(1 << i_); maker[1] = maker[1] & ~(1 << i_)
        fi;
        i_++
    :: else -> break
    od;
    i_ = 1;
    do
    :: i_ <= IDS ->
        if :: par[i_] != UNREACHABLE && !HAS(used, par[i_]) -> par[i_] = UNREACHABLE :: else fi;
        i_++
    :: else -> break
    od;
    i_ = 0;
    c_ = 0;
    id_ = 0;
    made = 0
}

/* ---- an owner's steps ---- */

inline make(o, c) {
    made = 1;
    do
    :: HAS(used, made) -> made++
    :: else -> break
    od;
    used = used | (1 << made);
    par[made] = SPEC(o);
    cmd[made] = c;
    seat[made] = (c == BARRIER -> seat[par[made]] : (c == 1 -> 0 : 1));
    keys[made] = keys[par[made]] | (c == BARRIER -> 0 : (1 << c));
    maker[o] = maker[o] | (1 << made);
    pipe[2 * o + pcount[o]] = made;
    pcount[o]++;
    sent = sent | (1 << made);
#ifdef NO_ROLL_BACK
    if :: c != BARRIER -> believes[o] = made :: else fi;
#endif
    confirm_next(o, made);
    made = 0
}

/* A record that is first sent now confirms all refusals decided before it. */
inline confirm_next(o, id) {
    c_ = 1;
    do
    :: c_ <= COMMANDS ->
        if :: call[CALL(c_, o)] == HELD -> call[CALL(c_, o)] = HELD_ON; on[CALL(c_, o)] = id :: else fi;
        c_++
    :: else -> break
    od
}

/* What waited on records that will not be proved is decided again. */
inline wait_again(o) {
    c_ = 1;
    do
    :: c_ <= COMMANDS ->
        if
        :: call[CALL(c_, o)] == IN_FLIGHT && !(ocount[o] > 0 && (cmd[opened[2 * o]] == c_ || (ocount[o] > 1 && cmd[opened[2 * o + 1]] == c_))) ->
            call[CALL(c_, o)] = WAITS
        :: call[CALL(c_, o)] == HELD || call[CALL(c_, o)] == HELD_ON -> call[CALL(c_, o)] = WAITS; on[CALL(c_, o)] = 0
        :: else
        fi;
        c_++
    :: else -> break
    od
}

/* Some valid record followed the parent of what is open: it is void for good; the driver may say so, or decide again. */
inline settle_open(o) {
    ocount[o] = 0;
    opened[2 * o] = 0;
    opened[2 * o + 1] = 0
}

/* The first of the pipeline is valid at off. */
inline prove(o) {
    head[o] = pipe[2 * o];
    off[o]++;
    report[head[o]] = 0;
    pipe[2 * o] = pipe[2 * o + 1];
    pipe[2 * o + 1] = 0;
    pcount[o]--;
    if :: ocount[o] > 0 -> settle_open(o) :: else fi;
    c_ = 1;
    do
    :: c_ <= COMMANDS ->
        if
        :: call[CALL(c_, o)] == IN_FLIGHT && cmd[head[o]] == c_ -> answer_ok(c_, o)
        :: call[CALL(c_, o)] == HELD_ON && on[CALL(c_, o)] == head[o] -> answer_no(c_, o); on[CALL(c_, o)] = 0
        :: call[CALL(c_, o)] == IN_FLIGHT && cmd[head[o]] != c_ &&                     /* it was open, and is settled */
           !(pcount[o] > 0 && (cmd[pipe[2 * o]] == c_)) -> call[CALL(c_, o)] = WAITS
        :: else
        fi;
        c_++
    :: else -> break
    od;
    if :: cmd[head[o]] == BARRIER && !took_over[o] -> took_over[o] = 1 :: else fi
#ifdef NO_ROLL_BACK
    ; if :: seat[head[o]] != seat[believes[o]] && pcount[o] == 0 && cmd[head[o]] != BARRIER -> believes[o] = head[o] :: else fi
#endif
}

inline empty_pipe(o) {
    pcount[o] = 0;
#ifndef PROOF_ACROSS_GENERATIONS
    report[pipe[2 * o]] = 0;
    report[pipe[2 * o + 1]] = 0;
#endif
    pipe[2 * o] = 0;
    pipe[2 * o + 1] = 0
}

inline recover(o) {
    recovers[o] = 1;
    target[o] = 0;
#ifndef PROOF_ACROSS_GENERATIONS
    trusts[o] = 0
#endif
}

/* A valid record that is not the first of the pipeline. */
inline fold_foreign(o, id) {
    head[o] = id;
    off[o]++;
    if
    :: pcount[o] > 0 -> empty_pipe(o); recover(o)
    :: else
    fi;
    if
    :: ocount[o] > 0 && opened[2 * o] == id -> /* a late copy of what was dropped: valid after all */
        c_ = cmd[id];
        if :: c_ != BARRIER && call[CALL(c_, o)] == IN_FLIGHT -> answer_ok(c_, o) :: else fi;
        opened[2 * o] = opened[2 * o + 1];
        opened[2 * o + 1] = 0;
        ocount[o]--
    :: ocount[o] > 0 && opened[2 * o] != id -> settle_open(o)
    :: else
    fi;
#ifdef NO_ROLL_BACK
    if :: cmd[id] != BARRIER && pcount[o] == 0 && !recovers[o] -> believes[o] = id :: else fi;
#endif
    wait_again(o)
}

inline read_one(o) {
    id_ = log[off[o]];
    if
    :: par[id_] == head[o] && pcount[o] > 0 && pipe[2 * o] == id_ ->
        if :: !recovers[o] -> trusts[o] = 1 :: else fi;
        prove(o)
    :: par[id_] == head[o] && !(pcount[o] > 0 && pipe[2 * o] == id_) -> fold_foreign(o, id_)
    :: else ->
#ifdef NO_PARENT_CHECK
        fold_foreign(o, id_)
#else
#ifdef VOID_COPY_SETTLES
        if
        :: pcount[o] > 1 && pipe[2 * o + 1] == id_ && call[CALL(cmd[id_], o)] == IN_FLIGHT -> c_ = cmd[id_]; answer_not_applied(c_, o)
        :: else
        fi;
#endif
        off[o]++
#endif
    fi
}

inline decide(c, o) {
    if
    :: KNOWS(o, head[o], c) -> answer_ok(c, o)
    :: !KNOWS(o, head[o], c) && pcount[o] > 0 && KNOWS(o, SPEC(o), c) -> call[CALL(c, o)] = IN_FLIGHT /* its record is in flight already */
    :: else ->
        if
        :: ALLOWS(seat[BELIEF(o)], c) ->
            make(o, c);
            call[CALL(c, o)] = IN_FLIGHT
#ifdef ANSWER_ON_APPEND
            ; answer_ok(c, o)
#endif
        :: else ->
#ifdef REFUSE_UNCONFIRMED
            answer_no(c, o)
#else
            call[CALL(c, o)] = HELD
#endif
        fi
    fi
}

/* At the end of the log, and nothing valid has followed the head: what is in flight may still become valid. */
inline append_again(o) {
    recovers[o] = 0;
    target[o] = 0;
#ifdef RESEND_CONFIRMS
    if :: pcount[o] > 0 -> confirm_next(o, pipe[2 * o]) :: else fi;
#endif
    if :: pcount[o] > 0 -> sent = sent | (1 << pipe[2 * o]) :: else fi;
    if :: pcount[o] > 1 -> sent = sent | (1 << pipe[2 * o + 1]) :: else fi;
    if :: pcount[o] == 0 && ocount[o] > 0 -> make(o, BARRIER) :: else fi
}

/* The broker refused one for good: they are set aside, and a barrier will settle them. */
inline set_aside(o) {
    opened[2 * o] = pipe[2 * o];
    opened[2 * o + 1] = pipe[2 * o + 1];
    ocount[o] = pcount[o];
    empty_pipe(o);
    recovers[o] = 0;
    target[o] = 0;
    wait_again(o);
#ifdef SETTLE_WITHOUT_BARRIER
    c_ = cmd[opened[2 * o]];
    if :: c_ != BARRIER && call[CALL(c_, o)] == IN_FLIGHT -> answer_not_applied(c_, o) :: else fi;
    settle_open(o);
    wait_again(o)
#else
    make(o, BARRIER)
#endif
}

inline restart(o) {
    c_ = 1;
    do
    :: c_ <= COMMANDS ->
        if :: call[CALL(c_, o)] != NONE -> call[CALL(c_, o)] = ANSWERED; on[CALL(c_, o)] = 0; truth = truth & ~(1 << CALL(c_, o)) :: else fi; /* its client knows nothing */
        c_++
    :: else -> break
    od;
    empty_pipe(o);
    settle_open(o);
    recovers[o] = 1;
    target[o] = 0;
    trusts[o] = 0;
    took_over[o] = 0;
#ifdef NO_ROLL_BACK
    believes[o] = head[o];
#endif
#ifdef FORGET_KEYS_AT_TAKEOVER
    forgot[o] = keys[chead]
#endif
}

#define FIRST(o) pipe[2 * (o)]
#define REPORT(o) (report[FIRST(o)])
#ifdef ACKS_ONE
#define REPORTED(o) (REPORT(o) != 0)
#else
#define REPORTED(o) (REPORT(o) != 0 && REPORT(o) <= hw)
#endif
#ifdef READ_PAST_HIGH_WATERMARK
#define READABLE size
#else
#define READABLE hw
#endif
#define CAN_MAKE (used != ALL)
#define FULL (size == LOG || !CAN_MAKE)

inline owner_steps(o) {
    if
    /* decide: any order of what waits */
    :: OWNS(o) && call[CALL(1, o)] == WAITS && pcount[o] < PIPE && CAN_MAKE -> d_step { decide(1, o); skip }
    :: OWNS(o) && call[CALL(2, o)] == WAITS && pcount[o] < PIPE && CAN_MAKE -> d_step { decide(2, o); skip }
#if COMMANDS > 2
    :: OWNS(o) && call[CALL(3, o)] == WAITS && pcount[o] < PIPE && CAN_MAKE -> d_step { decide(3, o); skip }
#endif
    /* a refusal that no command's record confirms gets a barrier */
    :: OWNS(o) && pcount[o] < PIPE && CAN_MAKE && (call[CALL(1, o)] == HELD || call[CALL(2, o)] == HELD || call[CALL(3, o)] == HELD) ->
        d_step { make(o, BARRIER); skip }
    /* proof by contiguity */
#ifdef HEAD_BEFORE_PROOF
    :: pcount[o] > 0 && !recovers[o] && REPORTED(o) ->
        d_step { off[o] = (REPORT(o) - 1 > off[o] -> REPORT(o) - 1 : off[o]); report[FIRST(o)] = 0; prove(o); skip }
#elif defined(PROOF_ACROSS_GENERATIONS)
    :: pcount[o] > 0 && !recovers[o] && off[o] < hw && HAS(maker[o], log[off[o]]) && report[log[off[o]]] == off[o] + 1 ->
        d_step { report[log[off[o]]] = 0; prove(o); skip }
#else
    :: pcount[o] > 0 && !recovers[o] && trusts[o] && REPORTED(o) && REPORT(o) == off[o] + 1 ->
        d_step { report[FIRST(o)] = 0; prove(o); skip }
#endif
    /* proof by reading back, and folding others */
    :: off[o] < READABLE -> d_step { read_one(o); skip }
    /* an error, a time-out or a new producer: a fault while it is still under way, and what must help when it is not */
    :: pcount[o] > 0 && !recovers[o] && troubles < TROUBLES -> d_step { troubles++; recover(o); skip }
    :: pcount[o] > 0 && !recovers[o] && !HAS(sent, FIRST(o)) && off[o] == size -> d_step { recover(o); skip }
    /* the end of the log, as it is or as a leader that is cut off still sees it */
    :: recovers[o] && target[o] == 0 -> d_step { target[o] = hw + 1; skip }
    :: recovers[o] && target[o] == 0 && off[o] < hw && stale_ends < STALE_ENDS -> d_step { stale_ends++; target[o] = off[o] + 1; skip }
    :: recovers[o] && target[o] > 0 && off[o] + 1 >= target[o] && took_over[o] && (pcount[o] > 0 || ocount[o] == 0 || CAN_MAKE) -> d_step { append_again(o); skip }
    :: recovers[o] && target[o] > 0 && off[o] + 1 >= target[o] && took_over[o] && pcount[o] > 0 && ocount[o] == 0 && CAN_MAKE && rejections < REJECTIONS ->
        d_step { rejections++; set_aside(o); skip }
    :: recovers[o] && target[o] > 0 && off[o] + 1 >= target[o] && !took_over[o] && pcount[o] == 0 && CAN_MAKE ->
        d_step { recovers[o] = 0; target[o] = 0; make(o, BARRIER); skip } /* OwnerTookOver */
    :: recovers[o] && target[o] > 0 && off[o] + 1 >= target[o] && !took_over[o] && pcount[o] > 0 -> d_step { append_again(o); skip }
    /* a client that waits no longer, or a node that gives the command up: nothing of it is in flight or open */
    :: call[CALL(1, o)] == WAITS -> d_step { answer_not_applied(1, o); skip }
    :: call[CALL(2, o)] == WAITS -> d_step { answer_not_applied(2, o); skip }
#if COMMANDS > 2
    :: call[CALL(3, o)] == WAITS -> d_step { answer_not_applied(3, o); skip }
#endif
    :: crashes < CRASHES -> d_step { crashes++; restart(o); skip }
    fi
}

#define CAN_LAND (size < LOG)

/* A report of what is in no pipeline any more is heard by nobody. */
inline tell(id) {
#ifndef PROOF_ACROSS_GENERATIONS
    if :: pipe[0] == id || pipe[1] == id || pipe[2] == id || pipe[3] == id -> report[id] = size :: else fi
#else
    report[id] = size
#endif
}

inline network(id) {
    if
    :: HAS(sent, id) && CAN_LAND -> d_step { sent = sent & ~(1 << id); append(id); tell(id); skip }
    :: HAS(sent, id) && CAN_LAND && losses < LOSSES -> d_step { losses++; sent = sent & ~(1 << id); append(id); skip }      /* the report is lost */
    :: HAS(sent, id) && losses < LOSSES -> d_step { losses++; sent = sent & ~(1 << id); skip }                               /* the append is lost */
    :: HAS(sent, id) && CAN_LAND && duplicates < DUPLICATES  -> d_step { duplicates++; append(id); tell(id); skip }    /* and once more, later */
    fi
}

/* A zombie's record, a duplicate, garbage: what can no longer become valid may still land. */
inline noise() {
    noises++;
    log[size] = 0;
    size++
}

inline commit() {
    id_ = log[hw];
    hw++;
    if :: par[id_] == chead -> chead = id_; committed = committed | (1 << id_); note_truth() :: else fi;
    skip
}

inline truncate() {
    truncations++;
    size = hw;
    lhead = chead;
    valid = committed;
    i_ = 1;
    do
    :: i_ <= IDS ->
        if :: report[i_] > size -> report[i_] = 0 :: else fi;
        i_++
    :: else -> break
    od;
    i_ = hw;
    do
    :: i_ < LOG -> log[i_] = 0; i_++
    :: else -> break
    od;
    i_ = 0
}

inline arrive(c, o) {
    call[CALL(c, o)] = WAITS;
    if :: REFUSAL_IS_TRUE(c) -> truth = truth | (1 << CALL(c, o)) :: else fi
}


active proctype world()
{
    d_step {
        par[1] = UNREACHABLE;
        par[0] = UNREACHABLE; cmd[1] = 7; seat[1] = 1; used = 2;
        log[0] = 1; size = 1; hw = 1;
        lhead = 1; chead = 1; valid = 2; committed = 2;
        off[0] = 1; off[1] = 1; head[0] = 1; head[1] = 1;
        took_over[0] = 1; took_over[1] = 1;
#ifdef NO_ROLL_BACK
        believes[0] = 1; believes[1] = 1;
#endif
        tidy()
    }
    do
    :: atomic {
        if
        :: owner_steps(0)
#if OWNERS > 1
        :: owner_steps(1)
#endif
        :: network(1)
        :: network(2)
        :: network(3)
        :: network(4)
#if IDS > 4
        :: network(5)
#endif
#if IDS > 5
        :: network(6)
#endif
        :: size < LOG && noises < NOISES -> d_step { noise(); skip }
        :: hw < size -> d_step { commit(); skip }
        :: hw < size && truncations < TRUNCATIONS -> d_step { truncate(); skip }
        :: HAS(CALLED, CALL(1, 0)) && call[CALL(1, 0)] == NONE -> d_step { arrive(1, 0); skip }
        :: HAS(CALLED, CALL(2, 0)) && call[CALL(2, 0)] == NONE -> d_step { arrive(2, 0); skip }
#if OWNERS > 1
        :: HAS(CALLED, CALL(1, 1)) && call[CALL(1, 1)] == NONE -> d_step { arrive(1, 1); skip }
        :: HAS(CALLED, CALL(2, 1)) && call[CALL(2, 1)] == NONE -> d_step { arrive(2, 1); skip }
#endif
#if COMMANDS > 2
        :: HAS(CALLED, CALL(3, 0)) && call[CALL(3, 0)] == NONE -> d_step { arrive(3, 0); skip }
#if OWNERS > 1
        :: HAS(CALLED, CALL(3, 1)) && call[CALL(3, 1)] == NONE -> d_step { arrive(3, 1); skip }
#endif
#endif
        :: FULL || !(OPEN_CALL(2) || OPEN_CALL(3) || OPEN_CALL(4) || OPEN_CALL(5) || OPEN_CALL(6) || OPEN_CALL(7)) -> break
        fi;
        d_step { tidy(); skip }
       }
    od
}
