#include "http/peer.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

void peer_set(peer *p, const struct sockaddr *address)
{
	bool is_v6 = address->sa_family == AF_INET6;
	*p = (peer){.tls = NULL};
	memcpy(&p->address, address, is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
}

void peer_format(const peer *p, char *text)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	if (p->address.sin6_family == AF_INET6) {
		inet_ntop(AF_INET6, &p->address.sin6_addr, ip, sizeof ip);
		snprintf(text, PEER_TEXT_MAX, "[%s]:%u", ip, (unsigned)ntohs(p->address.sin6_port));
	} else {
		struct sockaddr_in v4;
		memcpy(&v4, &p->address, sizeof v4);
		inet_ntop(AF_INET, &v4.sin_addr, ip, sizeof ip);
		snprintf(text, PEER_TEXT_MAX, "%s:%u", ip, (unsigned)ntohs(v4.sin_port));
	}
}

peer_tls *peer_tls_ref(peer_tls *tls)
{
	if (tls != NULL) {
		atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
	}
	return tls;
}

void peer_tls_unref(peer_tls *tls)
{
	if (tls != NULL && atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) == 1) {
		free(tls);
	}
}

void peer_release(peer *p)
{
	peer_tls_unref(p->tls);
	p->tls = NULL;
}

bool socket_has_lost(int fd)
{
	int error = 0;
	int unread = 0;
	socklen_t len = sizeof error;
	return (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0) ||
		   (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0);
}

bool socket_has_input(int fd)
{
	int unread = 0;
	return ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}
