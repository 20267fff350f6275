/* The shortest thread-per-connection echo server in C: what the language and its library cost the bare loop in Rust. */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void *echo(void *argument) {
    int client = (int)(intptr_t)argument;
    int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char buffer[16 * 1024];
    ssize_t count;
    while ((count = read(client, buffer, sizeof buffer)) > 0) {
        for (ssize_t sent = 0; sent < count;) {
            ssize_t more = write(client, buffer + sent, (size_t)(count - sent));
            if (more <= 0) {
                close(client);
                return NULL;
            }
            sent += more;
        }
    }
    close(client);
    return NULL;
}

/* The argument is the backlog. */
int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (count != 2 || listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, atoi(arguments[1])) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        pthread_t thread;
        if (client >= 0 && pthread_create(&thread, NULL, echo, (void *)(intptr_t)client) == 0) {
            pthread_detach(thread);
        }
    }
}
