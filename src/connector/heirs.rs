//! Stored offsets that more than one table would go on from: those by a bare name, which connectors before 5.0 wrote, where a
//! template of topics lets tables of one name be polled together. Pure.

use std::collections::HashMap;

use crate::config::spec::ConnectorSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Relation, SourcePartition};
use crate::task::binding::stored_for;

/// True if some of these tables have one name in different schemas.
pub fn share_names(relations: &[Relation]) -> bool {
    let mut names: Vec<&str> = relations.iter().filter_map(bare).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

fn bare(relation: &Relation) -> Option<&str> {
    match relation {
        Relation::Table(id) => Some(&id.name),
        Relation::Query(_) => None,
    }
}

/// True if each stored offset is that of one table.
///
/// # Errors
/// `Refused` with both tables: rows of one of them would be left out.
pub fn are_told_apart<T>(
    spec: &ConnectorSpec,
    relations: &[Relation],
    stored: &HashMap<SourcePartition, T>,
) -> Result<()> {
    let mut taken: HashMap<&SourcePartition, &Relation> = HashMap::new();
    for relation in relations {
        let Some((partition, _)) = stored_for(&spec.for_table(relation), stored) else { continue };
        let Some(other) = taken.insert(partition, relation) else { continue };
        let message = format!(
            "the offset stored for `{partition}` has no schema: it is that of {other} or of {relation}, and both would go on from it"
        );
        return Err(Error::new(ErrorKind::Refused, message).advise(
            "`rowtide offsets list` shows the position: give it to the table that it belongs to by `rowtide offsets set --table`, with \
             its full name; the other one is read from its beginning",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, Surroundings, connector};
    use crate::model::TableId;

    #[test]
    fn an_offset_by_a_bare_name_is_that_of_one_table() {
        let text = "name=n\nconnection.url=jdbc:postgresql://h/d\nmode=incrementing\nbootstrap.servers=b:1\n\
                    topic.prefix=p\ntopic.name.format=${schema}.${table}\n\
                    value.converter=org.apache.kafka.connect.json.JsonConverter\n";
        let spec = connector(Document::parse("c", text).unwrap(), Surroundings::default()).unwrap().spec;
        let table = |schema: &str, name: &str| {
            Relation::Table(TableId { catalog: None, schema: Some(schema.to_owned()), name: name.to_owned() })
        };
        let both = [table("a", "t"), table("b", "t")];
        assert!(share_names(&both) && !share_names(&[table("a", "t"), table("a", "u")]));
        let legacy = SourcePartition::legacy_table("t");
        let stored = HashMap::from([(legacy.clone(), ())]);
        are_told_apart(&spec, &both[..1], &stored).unwrap();
        let refused = are_told_apart(&spec, &both, &stored).unwrap_err();
        assert!(refused.to_string().contains("a.t or of b.t"), "{refused}");
        // One has gone on from it: it is not the other's.
        let stored = HashMap::from([(legacy, ()), (SourcePartition::table("a.t"), ())]);
        are_told_apart(&spec, &both, &stored).unwrap();
        assert!(stored_for(&spec.for_table(&both[1]), &stored).is_none());
    }
}
