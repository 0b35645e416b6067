/* calls.c -- see calls.h; also compiled as the only file of a DLL */
#include "calls.h"

here_function here;
here_function leave;
volatile int done;

/* A call as the last instruction: the address behind it is another
 * function's. */
static NOT_INLINE void never_returns(void)
{
    leave("never_returns");
    __builtin_unreachable();
}

static NOT_INLINE void on_read(int again)
{
    here("on_read");
    done++;
    if (again > 0)
        on_read(again - 1);
    done++;
}

NOT_INLINE void __attribute__((stdcall)) with_arguments(int a, int b)
{
    done += a;
    here("with_arguments");
    done += b;
}

#ifdef WITH_CPP
void calls_in_cpp(void);
#endif

void calls_begin(here_function look, here_function look_and_leave)
{
    here = look;
    leave = look_and_leave;
    on_read(1);
    with_arguments(1, 2);
    in_a_header();
#ifdef WITH_CPP
    calls_in_cpp();
#endif
    here("calls_begin");
    never_returns(); /* ends all this */
}
