/* window.c -- see window.h */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "asyncselect/window.h"
#include "common/err.h"
#include "common/net.h"

enum { STALL_SECONDS = 5, STALL_BUTTON = 1, CLIENT_LIST = 2 };
enum { MARGIN = 8, BUTTON_HEIGHT = 28 };

static HWND window;
static HWND list;
static HWND button;
static const char *name;
static char address[NET_NAME_SIZE];
static unsigned long count;
static HWND whom_to_tell; /* that the user has closed the window */
static UINT what_to_tell;

static void show_count(void)
{
    char title[128];
    const char *port = strrchr(address, ':');
    snprintf(title, sizeof title, "%s - port %s - %lu client%s", name,
             port != NULL ? port + 1 : address, count, count == 1 ? "" : "s");
    SetWindowTextA(window, title);
}

/* Blocks the thread on purpose, the way a slow query or a message box would.
 * Not a wait for anything: no message of any client moves until it is over. */
static void stall(void)
{
    char text[64];
    snprintf(text, sizeof text, "Stalled: nobody is served for %d seconds",
             STALL_SECONDS);
    SetWindowTextA(button, text);
    UpdateWindow(button);
    Sleep(STALL_SECONDS * 1000);
    SetWindowTextA(button, "Stall the thread for 5 seconds");
}

static LRESULT CALLBACK view_proc(HWND self, UINT message, WPARAM wparam,
                                  LPARAM lparam)
{
    switch (message) {
    case WM_COMMAND:
        if (LOWORD(wparam) == STALL_BUTTON)
            stall();
        return 0;
    case WM_SIZE: {
        int width = LOWORD(lparam) - 2 * MARGIN;
        int height = HIWORD(lparam) - 3 * MARGIN - BUTTON_HEIGHT;
        MoveWindow(button, MARGIN, MARGIN, width, BUTTON_HEIGHT, TRUE);
        MoveWindow(list, MARGIN, 2 * MARGIN + BUTTON_HEIGHT, width, height,
                   TRUE);
        return 0;
    }
    case WM_CLOSE: /* by the user: window_close() sends none */
        /* Not posted: the queue may be full. Both windows have one thread. */
        SendMessageW(whom_to_tell, what_to_tell, 0, 0);
        return 0;
    default: return DefWindowProcW(self, message, wparam, lparam);
    }
}

static HWND add_control(const wchar_t *kind, const char *text, DWORD style,
                        int id)
{
    HWND control =
        CreateWindowW(kind, L"", WS_CHILD | WS_VISIBLE | style, 0, 0, 0, 0,
                      window, (HMENU)(INT_PTR)id, GetModuleHandleW(NULL), NULL);
    if (control == NULL)
        die_call("CreateWindowW", GetLastError());
    SetWindowTextA(control, text);
    SendMessageW(control, WM_SETFONT, (WPARAM)GetStockObject(DEFAULT_GUI_FONT),
                 FALSE);
    return control;
}

void window_open(const char *model_name, SOCKET listener, HWND tell,
                 UINT message)
{
    WNDCLASSW kind = {.lpfnWndProc = view_proc,
                      .hInstance = GetModuleHandleW(NULL),
                      .hCursor = LoadCursorW(NULL, (LPCWSTR)IDC_ARROW),
                      .hbrBackground = (HBRUSH)(COLOR_BTNFACE + 1),
                      .lpszClassName = L"asyncselect-view"};
    name = model_name;
    whom_to_tell = tell;
    what_to_tell = message;
    net_local_name(listener, address, sizeof address);
    if (RegisterClassW(&kind) == 0)
        die_call("RegisterClassW", GetLastError());
    window = CreateWindowW(kind.lpszClassName, L"", WS_OVERLAPPEDWINDOW,
                           CW_USEDEFAULT, CW_USEDEFAULT, 420, 360, NULL, NULL,
                           kind.hInstance, NULL);
    if (window == NULL)
        die_call("CreateWindowW (--window needs a desktop)", GetLastError());
    button = add_control(L"BUTTON", "Stall the thread for 5 seconds",
                         BS_PUSHBUTTON | WS_TABSTOP, STALL_BUTTON);
    list =
        add_control(L"LISTBOX", "",
                    WS_BORDER | WS_VSCROLL | LBS_NOINTEGRALHEIGHT, CLIENT_LIST);
    show_count();
    ShowWindow(window, SW_SHOW);
    UpdateWindow(window);
}

void window_add_client(unsigned long long id,
                       const struct sockaddr_storage *peer)
{
    char line[NET_NAME_SIZE + 24];
    char peer_name[NET_NAME_SIZE];
    if (window == NULL)
        return;
    net_name(peer, peer_name, sizeof peer_name);
    snprintf(line, sizeof line, "#%llu  %s", id, peer_name);
    LRESULT at = SendMessageA(list, LB_ADDSTRING, 0, (LPARAM)line);
    SendMessageW(list, LB_SETITEMDATA, (WPARAM)at, (LPARAM)id);
    count++;
    show_count();
}

void window_remove_client(unsigned long long id)
{
    if (window == NULL)
        return;
    LRESULT lines = SendMessageW(list, LB_GETCOUNT, 0, 0);
    for (LRESULT i = 0; i < lines; i++) {
        if (SendMessageW(list, LB_GETITEMDATA, (WPARAM)i, 0) != (LRESULT)id)
            continue;
        SendMessageW(list, LB_DELETESTRING, (WPARAM)i, 0);
        count--;
        break;
    }
    show_count();
}

void window_close(void)
{
    if (window != NULL)
        DestroyWindow(window);
    window = NULL;
}
