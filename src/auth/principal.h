/*
 * auth/principal: who makes a request, and what they may do. Immutable.
 *
 * Owns     its texts, and a reference to its account. Counted references: auth_principal_ref() keeps one,
 *          auth_principal_unref() gives it back. The one that a handler finds in its exchange is a copy in the exchange's
 *          arena: it needs no unref and ends with the exchange; what lives longer (an event stream) takes
 *          auth_principal_ref() of it. Such a copy borrows the account: whoever makes it sees to that.
 * Threads  any.
 */
#ifndef TIDEGATE_AUTH_PRINCIPAL_H
#define TIDEGATE_AUTH_PRINCIPAL_H

#include "base/arena.h"
#include "base/buf.h"

enum { AUTH_SCOPE_READ = 1, AUTH_SCOPE_WRITE = 2, AUTH_SCOPE_DELETE = 4, AUTH_SCOPE_ADMIN = 8, AUTH_SCOPE_ALL = 15 };

enum { AUTH_DEFAULT_TENANT_ID = 1, AUTH_PREFIXES_MAX = 64 };

/* A tenant's own setting, or the server's where it has none. */
typedef enum auth_choice { AUTH_CHOICE_SERVER, AUTH_CHOICE_ON, AUTH_CHOICE_OFF } auth_choice;

typedef struct auth_principal {
	int64_t tenant_id;
	str tenant;          /* its name */
	str key_id;          /* empty in development mode */
	uint32_t scopes;     /* set of AUTH_SCOPE_* */
	const str *prefixes; /* names must begin with one of them */
	size_t prefix_count; /* 0: any name */
	auth_choice auto_create;
	int64_t expires_ms;                 /* since the Unix epoch by the database's clock; 0 = never */
	int64_t deadline_ms;                /* the same moment on clock_now_ms(); 0 = never */
	bool is_unstored;                   /* no row of the database: a JSON Web Token, key_id is "jwt:" and its subject;
										   or a key of the configuration, "listed:…" */
	bool is_development;                /* no credential was asked for: the default tenant, everything allowed */
	struct limit_account *account;      /* what it uses (auth/limit); NULL: nobody counts */
	struct auth_principal_block *block; /* private: the reference count; NULL for a copy in an arena */
} auth_principal;

/* A copy of *from, whose block is not looked at. NULL when memory is out. */
const auth_principal *auth_principal_new(const auth_principal *from);
/* One that lives until auth_principal_unref(): p itself, or a copy when p is in an arena. NULL only when memory is out.
 */
const auth_principal *auth_principal_ref(const auth_principal *p);
void auth_principal_unref(const auth_principal *p); /* accepts NULL */
/* A copy that lives as long as the arena. NULL when the arena is full. */
const auth_principal *auth_principal_copy(const auth_principal *p, arena *a);

/* All of `scopes`. */
bool auth_principal_allows(const auth_principal *p, uint32_t scopes);
/* Bytewise. Without prefixes any name, also an empty one. */
bool auth_principal_allows_name(const auth_principal *p, str name);
/* What a setting of the server becomes for this tenant. */
bool auth_choice_apply(auth_choice choice, bool server_setting);

/* "read,write": r, w, d, a, del, rw and all are understood too, separated by ',' or '+', in any case. An empty word, an
 * unknown word or none at all: false, with the word in *problem. */
bool auth_scopes_parse(str text, uint32_t *out, str *problem);
/* "read", …: one bit's name. */
str auth_scope_name(uint32_t scope);
void auth_scopes_print(uint32_t scopes, buf *out); /* "read,write" */

#endif
