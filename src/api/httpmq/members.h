/*
 * api/httpmq/members: the members of delivery groups that this worker serves, marked as there now and then, all in one
 * statement: what is not marked for MEMBER_LIFE_MS is gone with its worker, and nobody leaves a turn to it.
 *
 * Owns     nothing: a member is embedded in its subscription, which removes it before it goes.
 * Threads  any.
 */
#ifndef TIDEGATE_API_HTTPMQ_MEMBERS_H
#define TIDEGATE_API_HTTPMQ_MEMBERS_H

#include "api/api.h"

enum { MEMBER_MARK_MS = 2000, MEMBER_LIFE_MS = 6000 };

typedef struct httpmq_members httpmq_members;

typedef struct httpmq_member {
	int64_t topic_id;
	str consumer;
	int64_t number;
	/* of the list */
	struct httpmq_member *next;
	struct httpmq_member *prev;
	bool is_listed;
} httpmq_member;

httpmq_members *httpmq_members_new(api *a);   /* NULL when memory is out */
void httpmq_members_free(httpmq_members *ms); /* accepts NULL; jobs and timers stand still */

/* A member whose row is there (httpmq_member_seen). */
void httpmq_members_add(httpmq_members *ms, httpmq_member *m);
/* Its row is the caller's to delete (httpmq_member_leave). One that is not there is passed over. */
void httpmq_members_remove(httpmq_members *ms, httpmq_member *m);

#endif
