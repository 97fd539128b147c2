#include "log/route_cycle.h"

/* Breadth first over the edges: next[i] is the edge that the search took before edges[i], or `count` at the start. */
bool route_closes_cycle(const route_edge *edges, size_t count, str source, str dest, arena *a, const str **path,
						size_t *length)
{
	size_t *queue = arena_alloc_array(a, count + 1, sizeof *queue);
	size_t *before = arena_alloc_array(a, count + 1, sizeof *before);
	bool *seen = arena_alloc_zero(a, count + 1);
	str *way = arena_alloc_array(a, count + 2, sizeof *way);
	size_t head = 0;
	size_t tail = 0;
	*path = way;
	*length = 0;
	if (queue == NULL || before == NULL || seen == NULL || way == NULL) {
		return true;
	}
	queue[tail++] = count; /* stands for the new router itself */
	while (head < tail) {
		size_t at = queue[head++];
		str here = at == count ? dest : edges[at].dest;
		if (str_equal(here, source)) {
			size_t steps = 0;
			for (size_t i = at; i != count; i = before[i]) {
				steps++;
			}
			*length = steps + 2;
			way[0] = source;
			way[1] = dest;
			for (size_t i = at; i != count; i = before[i]) {
				way[1 + steps--] = edges[i].dest;
			}
			return true;
		}
		for (size_t i = 0; i < count; i++) {
			if (!seen[i] && str_equal(edges[i].source, here)) {
				seen[i] = true;
				before[i] = at;
				queue[tail++] = i;
			}
		}
	}
	return false;
}
