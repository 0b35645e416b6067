/* probe.c -- looks at asyncselect's window from another process
 *
 *   probe.exe PORT show    title, place of the button, its text, the list
 *   probe.exe PORT watch   the button's text, and its next two
 *   probe.exe PORT close   what a click on the window's X does
 *
 * Never waits long for the window's thread: a stalled one is what the test
 * wants to see. Exit code 1: no such window; 2: called wrongly.
 */
#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_MS = 1000, TEXT_SIZE = 256 };

struct search {
    const char *port;
    HWND window;
};

/* The server's window is the one whose title has its name and its port. */
static BOOL CALLBACK is_the_window(HWND window, LPARAM arg)
{
    struct search *search = (struct search *)arg;
    char title[TEXT_SIZE];
    if (GetWindowTextA(window, title, sizeof title) <= 0 ||
        strstr(title, "asyncselect") == NULL ||
        strstr(title, search->port) == NULL)
        return TRUE;
    search->window = window;
    return FALSE;
}

/* True if the window's thread answered. */
static bool ask(HWND window, UINT message, WPARAM wparam, LPARAM lparam,
                DWORD_PTR *answer)
{
    return SendMessageTimeoutW(window, message, wparam, lparam,
                               SMTO_ABORTIFHUNG, ANSWER_MS, answer) != 0;
}

static void show_list(HWND list)
{
    DWORD_PTR count = 0;
    if (!ask(list, LB_GETCOUNT, 0, 0, &count)) {
        printf("list: no answer\n");
        return;
    }
    printf("list: %lu\n", (unsigned long)count);
    for (DWORD_PTR i = 0; i < count; i++) {
        wchar_t text[TEXT_SIZE] = L"";
        DWORD_PTR len = 0;
        if (ask(list, LB_GETTEXTLEN, i, 0, &len) && len < TEXT_SIZE &&
            ask(list, LB_GETTEXT, i, (LPARAM)text, &len))
            printf("line: %ls\n", text);
    }
}

static BOOL CALLBACK show_child(HWND child, LPARAM arg)
{
    (void)arg;
    char kind[TEXT_SIZE];
    char text[TEXT_SIZE];
    RECT place;
    if (GetClassNameA(child, kind, sizeof kind) == 0 ||
        !GetWindowRect(child, &place))
        return TRUE;
    if (_stricmp(kind, "Button") == 0 &&
        GetWindowTextA(child, text, sizeof text) > 0) {
        printf("button: %s\n", text);
        printf("button at: %ld %ld\n", (place.left + place.right) / 2,
               (place.top + place.bottom) / 2);
    } else if (_stricmp(kind, "ListBox") == 0) {
        show_list(child);
    }
    return TRUE;
}

static BOOL CALLBACK find_button(HWND child, LPARAM arg)
{
    char kind[TEXT_SIZE];
    if (GetClassNameA(child, kind, sizeof kind) == 0 ||
        _stricmp(kind, "Button") != 0)
        return TRUE;
    *(HWND *)arg = child;
    return FALSE;
}

/* Nobody tells that the text of another process's control has changed: it is
 * looked at again and again. */
static int watch_button(HWND window)
{
    HWND button = NULL;
    char seen[TEXT_SIZE] = "";
    EnumChildWindows(window, find_button, (LPARAM)&button);
    for (int texts = 0; texts < 3;) {
        char now[TEXT_SIZE] = "";
        if (GetWindowTextA(button, now, sizeof now) <= 0) {
            fprintf(stderr, "probe: no button, or no text on it\n");
            return 1;
        }
        if (strcmp(now, seen) == 0) {
            Sleep(10);
            continue;
        }
        printf("button: %s\n", now);
        fflush(stdout);
        memcpy(seen, now, sizeof seen);
        texts++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: probe.exe PORT show|watch|close\n");
        return 2;
    }
    struct search search = {argv[1], NULL};
    EnumWindows(is_the_window, (LPARAM)&search);
    if (search.window == NULL) {
        fprintf(stderr, "probe: no window of asyncselect with port %s\n",
                argv[1]);
        return 1;
    }
    if (strcmp(argv[2], "close") == 0)
        return PostMessageA(search.window, WM_CLOSE, 0, 0) ? 0 : 1;
    if (strcmp(argv[2], "watch") == 0)
        return watch_button(search.window);
    char title[TEXT_SIZE] = "";
    GetWindowTextA(search.window, title, sizeof title);
    printf("title: %s\n", title);
    EnumChildWindows(search.window, show_child, 0);
    return 0;
}
