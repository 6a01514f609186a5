//! The table's columns: from rows to batches, from batches to hits.
//!
//! Called by: `tenant::vectors`. Talks to: nothing.
//! Invariants: a table's name is derived from the model's id alone and tells nothing about it;
//! its schema carries the id, so a table of another model is refused; every stored vector has the
//! model's dimension and length one.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Int64Array, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use sha2::{Digest, Sha256};

use super::error::VectorError;
use super::{VectorHit, VectorPlace, VectorRow};
use crate::types::{ChunkKey, ItemKey, ModelInfo};

pub(super) const CHUNK: &str = "chunk";
pub(super) const ITEM: &str = "item";
pub(super) const SOURCE: &str = "source";
pub(super) const MEDIA_TYPE: &str = "media_type";
pub(super) const DATE: &str = "date_us";
pub(super) const VECTOR: &str = "vector";
/// Column the engine adds to a search result.
pub(super) const DISTANCE: &str = "_distance";

const MODEL_KEY: &str = "cairn.model";
const LAYOUT_KEY: &str = "cairn.layout";
/// Raised when the columns change meaning; a table of another layout is rebuilt.
const LAYOUT: &str = "1";

/// Rows per batch: at 384 dimensions one and a half megabytes.
const BATCH_ROWS: usize = 1024;
/// How far the square of a vector's length may be from one.
const LENGTH_TOLERANCE: f32 = 0.01;

/// The name of the table for a model: opaque, stable, fit for a file name.
pub(super) fn table_name(model: &ModelInfo) -> String {
    let digest = Sha256::digest(model.id.as_bytes());
    let mut name = String::from("v");
    for byte in digest.iter().take(16) {
        name.push_str(&format!("{byte:02x}"));
    }
    name
}

/// The schema of a new table for `model`.
pub(super) fn table_schema(model: &ModelInfo) -> SchemaRef {
    let fields = vec![
        Field::new(CHUNK, DataType::Int64, false),
        Field::new(ITEM, DataType::Int64, false),
        Field::new(SOURCE, DataType::Utf8, false),
        Field::new(MEDIA_TYPE, DataType::Utf8, false),
        Field::new(DATE, DataType::Int64, false),
        Field::new(VECTOR, DataType::FixedSizeList(element(), width(model.dimension)), false),
    ];
    let metadata = HashMap::from([
        (MODEL_KEY.to_owned(), model.id.clone()),
        (LAYOUT_KEY.to_owned(), LAYOUT.to_owned()),
    ]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// Refuses a table that another model, dimension or layout made.
pub(super) fn check(found: &Schema, table: &str, model: &ModelInfo) -> Result<(), VectorError> {
    let describe = |schema: &Schema| {
        let word = |key: &str| schema.metadata().get(key).map_or("nothing", String::as_str);
        let dimension = match schema.field_with_name(VECTOR).map(Field::data_type) {
            Ok(DataType::FixedSizeList(_, dimension)) => *dimension,
            _ => 0,
        };
        format!("{dimension} dimensions of {}, layout {}", word(MODEL_KEY), word(LAYOUT_KEY))
    };
    let expected = describe(&table_schema(model));
    let found = describe(found);
    if found == expected {
        return Ok(());
    }
    Err(VectorError::Mismatch { table: table.to_owned(), expected, found })
}

fn element() -> FieldRef {
    Arc::new(Field::new("item", DataType::Float32, true))
}

fn width(dimension: usize) -> i32 {
    i32::try_from(dimension).expect("invariant: a model's dimension is small")
}

/// Lays rows out in batches of bounded size, refusing a vector that does not fit the model.
pub(super) fn batches(
    schema: &SchemaRef,
    dimension: usize,
    rows: &[VectorRow],
) -> Result<Vec<RecordBatch>, VectorError> {
    for row in rows {
        check_vector(row, dimension)?;
    }
    rows.chunks(BATCH_ROWS).map(|rows| batch(schema, dimension, rows)).collect()
}

fn check_vector(row: &VectorRow, dimension: usize) -> Result<(), VectorError> {
    let chunk = row.chunk.0;
    if row.vector.len() != dimension {
        return Err(VectorError::Dimension { chunk, expected: dimension, found: row.vector.len() });
    }
    let square: f32 = row.vector.iter().map(|value| value * value).sum();
    // Written so that a NaN is refused too.
    if (square - 1.0).abs() <= LENGTH_TOLERANCE {
        Ok(())
    } else {
        Err(VectorError::NotNormalised { chunk })
    }
}

fn batch(
    schema: &SchemaRef,
    dimension: usize,
    rows: &[VectorRow],
) -> Result<RecordBatch, VectorError> {
    let mut values = Vec::with_capacity(rows.len() * dimension);
    for row in rows {
        values.extend_from_slice(&row.vector);
    }
    let vectors = FixedSizeListArray::try_new(
        element(),
        width(dimension),
        Arc::new(Float32Array::from(values)),
        None,
    )
    .map_err(|source| VectorError::Layout { source })?;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.chunk.0))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.item.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.source.as_ref()))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.media_type.as_ref()))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.date_us))),
        Arc::new(vectors),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|source| VectorError::Layout { source })
}

/// Appends the hits of one result batch to `hits`.
pub(super) fn read_hits(batch: &RecordBatch, hits: &mut Vec<VectorHit>) -> Result<(), VectorError> {
    let chunks = integers(batch, CHUNK)?;
    let items = integers(batch, ITEM)?;
    let distances = batch
        .column_by_name(DISTANCE)
        .and_then(|column| column.as_primitive_opt::<Float32Type>())
        .ok_or(VectorError::Column { column: DISTANCE })?;
    for row in 0..batch.num_rows() {
        hits.push(VectorHit {
            chunk: ChunkKey(chunks.value(row)),
            item: ItemKey(items.value(row)),
            similarity: 1.0 - distances.value(row),
        });
    }
    Ok(())
}

/// The item keys of one batch, with repeats.
pub(super) fn read_items(
    batch: &RecordBatch,
) -> Result<impl Iterator<Item = ItemKey> + '_, VectorError> {
    Ok(integers(batch, ITEM)?.values().iter().copied().map(ItemKey))
}

/// The chunks of one batch, each with its item and the source that its row names.
pub(super) fn read_places(
    batch: &RecordBatch,
) -> Result<impl Iterator<Item = VectorPlace> + '_, VectorError> {
    let chunks = integers(batch, CHUNK)?.values().iter().copied().map(ChunkKey);
    let sources = batch
        .column_by_name(SOURCE)
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or(VectorError::Column { column: SOURCE })?;
    Ok(chunks.zip(read_items(batch)?).zip(sources).map(|((chunk, item), source)| VectorPlace {
        chunk,
        item,
        source: source.unwrap_or_default().to_owned(),
    }))
}

/// Appends keys and vectors of one batch, the vectors one after the other.
pub(super) fn read_rows(
    batch: &RecordBatch,
    chunks: &mut Vec<ChunkKey>,
    items: &mut Vec<ItemKey>,
    vectors: &mut Vec<f32>,
) -> Result<(), VectorError> {
    let missing = || VectorError::Column { column: VECTOR };
    let lists = batch
        .column_by_name(VECTOR)
        .and_then(|column| column.as_fixed_size_list_opt())
        .ok_or_else(missing)?;
    chunks.extend(integers(batch, CHUNK)?.values().iter().copied().map(ChunkKey));
    items.extend(read_items(batch)?);
    for row in 0..lists.len() {
        let values = lists.value(row);
        let values = values.as_primitive_opt::<Float32Type>().ok_or_else(missing)?;
        vectors.extend_from_slice(values.values());
    }
    Ok(())
}

/// Appends the vectors of one batch to `vectors`.
pub(super) fn read_vectors(
    batch: &RecordBatch,
    vectors: &mut Vec<Vec<f32>>,
) -> Result<(), VectorError> {
    let missing = || VectorError::Column { column: VECTOR };
    let lists = batch
        .column_by_name(VECTOR)
        .and_then(|column| column.as_fixed_size_list_opt())
        .ok_or_else(missing)?;
    for row in 0..lists.len() {
        let values = lists.value(row);
        let values = values.as_primitive_opt::<Float32Type>().ok_or_else(missing)?;
        vectors.push(values.values().to_vec());
    }
    Ok(())
}

fn integers<'a>(
    batch: &'a RecordBatch,
    column: &'static str,
) -> Result<&'a PrimitiveArray<Int64Type>, VectorError> {
    batch
        .column_by_name(column)
        .and_then(|array| array.as_primitive_opt::<Int64Type>())
        .ok_or(VectorError::Column { column })
}
