// methods.cpp -- a server whose class has methods that are named like Winsock's
// calls; for library.py. It serves two clients, one after the other.
#include <winsock2.h>

#include <stdio.h>

class Client
{
    SOCKET sock;

  public:
    explicit Client(SOCKET given) : sock(given)
    {
    }
    int recv(char *buf, int size);
    int send(const char *buf, int len);
    void close();
    ~Client()
    {
        close();
    }
};

int Client::recv(char *buf, int size)
{
    return ::recv(sock, buf, size, 0);
}

int Client::send(const char *buf, int len)
{
    return ::send(sock, buf, len, 0);
}

void Client::close()
{
    if (sock != INVALID_SOCKET)
        closesocket(sock);
    sock = INVALID_SOCKET;
}

// Its end comes after main() has returned.
class Listener
{
  public:
    SOCKET sock;
    Listener() : sock(INVALID_SOCKET)
    {
    }
    void open();
    ~Listener();
};

void Listener::open()
{
    sockaddr_in address = {};
    int size = sizeof address;
    sock = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(sock, reinterpret_cast<sockaddr *>(&address), size);
    listen(sock, 5);
    getsockname(sock, reinterpret_cast<sockaddr *>(&address), &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
}

Listener::~Listener()
{
    closesocket(sock);
    WSACleanup();
}

static Listener listener;

int main()
{
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 1;
    listener.open();
    for (int n = 0; n < 2; n++) {
        Client client(accept(listener.sock, NULL, NULL));
        char buf[100];
        int sum = 0;
        int len;
        while ((len = client.recv(buf, sizeof buf)) > 0)
            sum += client.send(buf, len);
        printf("client %d: %d bytes\n", n + 1, sum);
    }
    return 7;
}
