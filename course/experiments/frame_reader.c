/* frame_reader.c -- how does a program get its messages out of the bytes?
 *
 * Each message is a frame: two bytes say how long it is, and then it comes. The
 * reader keeps what is there of the frame at hand. So it does not matter how the
 * bytes come: together, one by one, or cut anywhere.
 */
#include "course/experiments/lab/lab.h"

enum { HEADER = 2, LONGEST = 32 };

struct reader {
    unsigned char frame[HEADER + LONGEST];
    int len; /* bytes of the frame that are there */
};

/* How many bytes the frame at hand has in all. Until the header is there, only
 * the header is known. The higher byte comes first, whatever processor either
 * side has. */
static int frame_size(const struct reader *r)
{
    if (r->len < HEADER)
        return HEADER;
    return HEADER + (r->frame[0] << 8 | r->frame[1]);
}

static void on_message(const unsigned char *text, int len)
{
    printf(" \"%.*s\"", len, (const char *)text);
}

/* Take what has come, and call on_message() for each frame that is whole.
 * False: the length is one that nobody sends. What follows it cannot be
 * understood either, so the connection has to end. */
static bool reader_take(struct reader *r, const unsigned char *bytes, int len)
{
    while (len > 0) {
        int missing = frame_size(r) - r->len;
        int n = len < missing ? len : missing;
        memcpy(r->frame + r->len, bytes, (size_t)n);
        r->len += n;
        bytes += n;
        len -= n;
        /* Before the first byte of the body is stored: the other side chose
         * this number, and it may be larger than our array. */
        if (frame_size(r) > (int)sizeof r->frame)
            return false;
        if (r->len >= HEADER && r->len == frame_size(r)) {
            on_message(r->frame + HEADER, r->len - HEADER);
            r->len = 0;
        }
    }
    return true;
}

static const char stream[] = "\0\5hello\0\0\0\14world, again";
enum { STREAM = sizeof stream - 1 }; /* three frames, 23 bytes */

/* Send `bytes` through a connection, in pieces of `piece`. Each piece has been
 * received before the next one is sent. */
static void through(const char *what, const char *bytes, int len, int piece)
{
    SOCKET sender;
    SOCKET receiver;
    struct reader r = {.len = 0};
    unsigned char buf[64];
    lab_pair(&receiver, &sender);
    printf("%s:", what);
    bool good = true;
    for (int sent = 0; sent < len && good; sent += piece) {
        int n = len - sent < piece ? len - sent : piece;
        if (send(sender, bytes + sent, n, 0) != n)
            die_call("send", WSAGetLastError());
        lab_arrived(receiver, n);
        int got = recv(receiver, (char *)buf, sizeof buf, 0);
        if (got != n)
            die_call("recv", WSAGetLastError());
        good = reader_take(&r, buf, got);
    }
    closesocket(sender);
    if (!good)
        printf(" refused, its length is %d", frame_size(&r) - HEADER);
    else if (recv(receiver, (char *)buf, sizeof buf, 0) == 0 && r.len > 0)
        printf(" cut off, %d of %d bytes came", r.len, frame_size(&r));
    puts("");
    closesocket(receiver);
}

int main(void)
{
    lab_begin("frame_reader");
    through("all in one piece", stream, STREAM, STREAM);
    through("byte by byte", stream, STREAM, 1);
    through("8 bytes at a time", stream, STREAM, 8);
    through("a frame that is too long", "\377\377xx", 4, 4);
    through("an end inside a frame", stream, STREAM - 6, STREAM);
    return 0;
}
