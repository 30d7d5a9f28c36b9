// A stand-in for supabase-js: as much of it as docs/clients.md uses. It sends what the real one sends for an insert that is
// read back: https://docs.postgrest.org/en/stable/references/api/tables_views.html#insert
export function createClient(url, token) {
  return {
    from: (table) => ({
      insert: (row) => ({
        select: (columns) => ({
          single: async () => {
            const answer = await fetch(`${url}/rest/v1/${table}?select=${encodeURIComponent(columns)}`, {
              method: 'POST',
              headers: {
                Authorization: `Bearer ${token}`,
                'Content-Type': 'application/json',
                Accept: 'application/vnd.pgrst.object+json',
                Prefer: 'return=representation',
              },
              body: JSON.stringify(row),
            })
            const body = await answer.json()
            return answer.ok ? { data: body, error: null } : { data: null, error: body }
          },
        }),
      }),
    }),
  }
}
