/* wrappers_user32.c -- those that stand in the place of user32's functions
 *
 * In a file of their own: a server without a window takes none of them out of our
 * library, and so imports nothing from user32.dll.
 */
#include "common/win.h"

#include "watch/layer.h"

#ifdef TRACE

#include "watch/wrap.h"

#define FROM_ws2_32(name, result, types)
#define FROM_kernel32(name, result, types)
#define FROM_crt(name, result, types)
#define FROM_user32(name, result, types)                                       \
    FUNCTION(REAL(name), name, result, types)
#define CALL(name, dll, result, types, ...) FROM_##dll(name, result, types)
#define CALL_POINTER(...)
#define CALL_VOID(...)
#define CALL_NONE(...)
#include "watch/calls.h"

#endif
