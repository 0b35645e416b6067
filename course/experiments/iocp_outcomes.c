/* iocp_outcomes.c -- what are the four answers of GetQueuedCompletionStatus()?
 *
 * The OVERLAPPED says whether there was a packet; TRUE or FALSE says how its
 * operation ended. A program that reads FALSE as "nothing came" loses every
 * operation that failed: its packet has been taken, and does not come a second
 * time.
 *
 * GetQueuedCompletionStatusEx() returns TRUE for failed operations too.
 */
#include "course/experiments/lab/lab.h"

static HANDLE port;
static SOCKET sock; /* associated with the port */
static SOCKET far_end;
static OVERLAPPED asked;

static void new_pair(void)
{
    lab_pair(&sock, &far_end);
    if (CreateIoCompletionPort((HANDLE)sock, port, 0, 0) == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
}

static void ask(void)
{
    static char letter;
    WSABUF room = {.buf = &letter, .len = 1};
    DWORD flags = 0;
    asked = (OVERLAPPED){0};
    if (WSARecv(sock, &room, 1, NULL, &flags, &asked, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
}

/* Close the far end so that the near one sees a reset. */
static void reset(void)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (setsockopt(far_end, SOL_SOCKET, SO_LINGER, (const char *)&hard,
                   sizeof hard) == SOCKET_ERROR ||
        closesocket(far_end) == SOCKET_ERROR)
        die_call("setsockopt or closesocket", WSAGetLastError());
}

static void take(const char *what, DWORD limit)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    BOOL ok = GetQueuedCompletionStatus(port, &len, &key, &ov, limit);
    DWORD err = ok ? 0 : GetLastError();
    printf("%s: %s, %s, ", what, ok ? "TRUE" : "FALSE",
           ov == NULL ? "no OVERLAPPED" : "an OVERLAPPED");
    if (!ok)
        puts(lab_error(err));
    else if (ov != NULL)
        printf("bytes: %lu\n", len);
    else
        printf("our key: %lu\n", (unsigned long)key);
}

int main(void)
{
    OVERLAPPED_ENTRY entry = {0};
    ULONG taken = 0;
    DWORD len = 0;
    DWORD flags = 0;
    lab_begin("iocp_outcomes");
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    if (port == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    new_pair();
    ask();
    lab_send(far_end, 1);
    take("a byte came", 5000);
    ask();
    reset();
    take("the peer reset the connection", 5000);
    if (!WSAGetOverlappedResult(sock, &asked, &len, FALSE, &flags))
        printf("... which Winsock calls %s\n",
               lab_error((unsigned long)WSAGetLastError()));
    if (!PostQueuedCompletionStatus(port, 0, 7, NULL))
        die_call("PostQueuedCompletionStatus", GetLastError());
    take("we posted a packet, with key 7", 5000);
    take("nothing came for 100 ms", 100);

    new_pair();
    ask();
    reset();
    BOOL ok = GetQueuedCompletionStatusEx(port, &entry, 1, &taken, 5000, FALSE);
    printf("another reset, taken with Ex: %s, its status says: %s\n",
           ok ? "TRUE" : "FALSE",
           taken == 1 && entry.lpOverlapped->Internal != 0 ? "it failed"
                                                           : "all is well");
    return 0;
}
