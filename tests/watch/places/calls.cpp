// calls.cpp -- see calls.h. Without the C++ library, so that every compiler
// with a C++ front end takes it.
#include "calls.h"

namespace
{
NOT_INLINE int without_a_name(int a)
{
    here("without_a_name");
    return a + ++done;
}
} // namespace

namespace net
{
template <class T, int N> struct Box {
    T content[N];

    NOT_INLINE void get(const T &, Box<T, N> *)
    {
        here("net::Box::get");
        done++;
    }
};

class Server
{
  public:
    NOT_INLINE Server();
    NOT_INLINE ~Server();
    NOT_INLINE int on_read(int a) const;
    NOT_INLINE int operator()(const char *name);
    NOT_INLINE int run();
};

Server::Server()
{
    here("net::Server::Server");
    done++;
}

Server::~Server()
{
    here("net::Server::~Server");
    done++;
}

int Server::on_read(int a) const
{
    here("net::Server::on_read");
    return a + ++done;
}

int Server::operator()(const char *name)
{
    here("net::Server::operator()");
    return name[0] + ++done;
}

int Server::run()
{
    auto lambda = [this](int a) __attribute__((noinline)) {
        here("net::Server::run/lambda");
        return on_read(a) + ++done;
    };
    Box<decltype(lambda) *, 3> box = {};
    box.get(&lambda, &box);
    return lambda(3) + ++done;
}

template <class T> NOT_INLINE T twice(T value)
{
    here("net::twice");
    return value + value + ++done;
}
} // namespace net

static NOT_INLINE int stays_inside(net::Box<int, 2> &box)
{
    box.get(1, &box);
    here("stays_inside");
    return ++done;
}

extern "C" NOT_INLINE void calls_in_cpp(void)
{
    net::Server server;
    net::Box<int, 2> box = {};
    done += server.on_read(1) + server("name") + server.run();
    done += without_a_name(1) + net::twice(2) + stays_inside(box);
    here("calls_in_cpp");
    done++;
}
