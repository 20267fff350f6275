/* The shortest UDP echo server in C: what the language and its library cost the bare loop in Rust. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server < 0 || bind(server, (struct sockaddr *)&address, length) != 0 ||
        getsockname(server, (struct sockaddr *)&address, &length) != 0) {
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    static char buffer[64 * 1024];
    for (;;) {
        struct sockaddr_in client;
        socklen_t size = sizeof client;
        ssize_t count = recvfrom(server, buffer, sizeof buffer, 0, (struct sockaddr *)&client, &size);
        if (count >= 0) {
            sendto(server, buffer, (size_t)count, 0, (struct sockaddr *)&client, size);
        }
    }
}
